//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// onMySQL is the config of a server on a database.
func onMySQL(dsn string) string { return fmt.Sprintf("store: {driver: mysql, dsn: %q}\n", dsn) }

// onRedis is the config of a server whose queue is on a Redis.
func onRedis(addr string) string { return fmt.Sprintf("queue: {driver: redis, addrs: [%q]}\n", addr) }

// secretOf is the password in a DSN.
func secretOf(t *testing.T, dsn string) string {
	t.Helper()
	before, _, ok := strings.Cut(dsn, "@")
	_, secret, ok2 := strings.Cut(before, ":")
	if !ok || !ok2 || secret == "" {
		t.Fatal("the DSN has no password")
	}
	return secret
}

func clientOf(t *testing.T, server, token string) *agentapi.Client {
	t.Helper()
	c, err := agentapi.NewClient(agentapi.ClientConfig{Server: server, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// waitingAgent polls for one job at a server.
func waitingAgent(ctx context.Context, c *agentapi.Client) <-chan agentapi.PollAnswer {
	answers := make(chan agentapi.PollAnswer, 1)
	go func() {
		defer close(answers)
		for ctx.Err() == nil {
			a, err := c.Poll(ctx, agentapi.PollRequest{WaitSeconds: 30, Version: "waiting"})
			if err == nil && len(a.Jobs) > 0 {
				answers <- a
				return
			}
		}
	}()
	return answers
}

// nodesAt lists the nodes that a server knows to be alive, by name.
func nodesAt(t *testing.T, server, token string) map[string]agentapi.Node {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server+"/v1/nodes", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var list agentapi.NodeList
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	alive := map[string]agentapi.Node{}
	for _, n := range list.Nodes {
		if n.Alive {
			alive[n.Host] = n
		}
	}
	return alive
}

// TestTwoNodes runs two servers on one database: what is pushed at one is
// taken and answered at the other. One of them is stopped, and the other goes
// on.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		queue func(t *testing.T) string
	}{
		{"with Redis", func(t *testing.T) string { return onRedis(throwaway.Redis(t).Addr) }},
		{"with the database alone", func(*testing.T) string { return "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dsn := throwaway.MariaDB(t).Database(t)
			config := onMySQL(dsn) + tt.queue(t)
			a, urlA, file := startServe(t, config+"node: {name: node-a}\n")
			b, urlB, _ := startServe(t, config+"node: {name: node-b}\n")
			admin := token(t, "tokens", "create", "ops", "--role", "admin", "-c", file)
			agent := token(t, "agents", "create", "web-1", "-c", file)
			for _, url := range []string{urlA, urlB} {
				if status := get(t, url+"/readyz", "none"); status != http.StatusOK {
					t.Errorf("%s is not ready: %d", url, status)
				}
				eventually(t, "both nodes are known at "+url, func() bool {
					alive := nodesAt(t, url, admin)
					return alive["node-a"].Addr != "" && alive["node-b"].Addr != ""
				})
			}

			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			pusher, worker := clientOf(t, urlA, admin), clientOf(t, urlB, agent)
			for i := range 5 {
				answers := waitingAgent(ctx, worker)
				eventually(t, "the agent waits", func() bool {
					agents, err := pusher.Agents(ctx)
					return err == nil && len(agents) == 1 && agents[0].Online
				})
				pushed := time.Now()
				j, err := pusher.Push(ctx, agentapi.Push{Agent: "web-1", Message: fmt.Sprintf("deploy %d", i)}, agentapi.PushOptions{})
				if err != nil {
					t.Fatal(err)
				}
				got := <-answers
				t.Logf("taken at the other node after %s", time.Since(pushed).Round(time.Millisecond))
				if len(got.Jobs) != 1 || got.Jobs[0].ID != j.ID {
					t.Fatalf("the agent got %+v", got)
				}
				done := make(chan agentapi.Job, 1)
				go func() {
					final, _ := pusher.Job(ctx, j.ID, 30*time.Second)
					done <- final
				}()
				output := "deployed"
				if _, err := worker.Result(ctx, j.ID, agentapi.Report{Lease: got.Jobs[0].Lease, Status: "succeeded", Output: &output}); err != nil {
					t.Fatal(err)
				}
				if final := <-done; final.Status != "succeeded" || final.Result == nil || final.Result.Output != output {
					t.Fatalf("at the first node: %+v", final)
				}
			}

			// One goes, and says so.
			a.signal(syscall.SIGTERM)
			code, log := a.ends()
			if code != 0 {
				t.Errorf("exit code %d:\n%s", code, log)
			}
			if alive := nodesAt(t, urlB, admin); len(alive) != 1 {
				t.Errorf("alive: %+v", alive)
			}
			pusher = clientOf(t, urlB, admin)
			answers := waitingAgent(ctx, worker)
			j, err := pusher.Push(ctx, agentapi.Push{Agent: "web-1", Message: "status"}, agentapi.PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := <-answers; len(got.Jobs) != 1 || got.Jobs[0].ID != j.ID {
				t.Errorf("the agent got %+v", got)
			}
			b.signal(syscall.SIGTERM)
			_, logB := b.ends()
			if secret := secretOf(t, dsn); strings.Contains(log+logB, secret) {
				t.Error("a log shows the password of the database")
			}
		})
	}
}

// readiness is the status of /readyz, and what it says.
func readiness(t *testing.T, server string) (status int, body string) {
	t.Helper()
	res, err := http.Get(server + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// notReady waits until the server says that it lacks this part, and no other.
func notReady(t *testing.T, server, part string) {
	t.Helper()
	eventually(t, server+" lacks its "+part, func() bool {
		status, body := readiness(t, server)
		return status == http.StatusServiceUnavailable && strings.Contains(body, `not working: `+part+`"`)
	})
	if status := get(t, server+"/healthz", "none"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
}

func isReady(t *testing.T, server string) {
	t.Helper()
	eventually(t, server+" is ready", func() bool { status, _ := readiness(t, server); return status == http.StatusOK })
}

// TestWaitsForItsParts starts a server before its database and its Redis, and
// takes both away from it: it says what it lacks and recovers by itself.
func TestWaitsForItsParts(t *testing.T) {
	t.Parallel()
	db := throwaway.NewMariaDB(t)
	redis := throwaway.Redis(t)
	dsn := db.Database(t)
	db.Kill()
	redis.Kill()
	addr := throwaway.Address(t)
	p, file := startUnready(t, "listen: "+addr+"\n"+onMySQL(dsn)+onRedis(redis.Addr))
	server := "http://" + addr
	p.sees("waits for its database")
	notReady(t, server, "database")
	if status := get(t, server+"/v1/jobs", "none"); status != http.StatusServiceUnavailable {
		t.Errorf("a call meanwhile: %d", status)
	}
	db.Start()
	p.sees(`"msg":"serving"`)
	notReady(t, server, "queue")
	if status := get(t, server+"/readyz?exclude=queue", "none"); status != http.StatusOK {
		t.Errorf("without the queue: %d", status)
	}
	// It works without the queue.
	admin := token(t, "tokens", "create", "ops", "--role", "admin", "-c", file)
	agent := token(t, "agents", "create", "web-1", "-c", file)
	takes := func(message string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		answers := waitingAgent(ctx, clientOf(t, server, agent))
		eventually(t, "the job is pushed", func() bool {
			_, err := clientOf(t, server, admin).Push(ctx, agentapi.Push{Agent: "web-1", Message: message}, agentapi.PushOptions{IdempotencyKey: strings.ReplaceAll(message, " ", "-")})
			if err != nil {
				t.Log(err)
			}
			return err == nil
		})
		if got := <-answers; len(got.Jobs) != 1 || got.Jobs[0].Message != message {
			t.Fatalf("the agent got %+v", got)
		}
	}
	eventually(t, "the agent is there", func() bool { return poll(t, server, agent) == http.StatusOK })
	takes("without the queue")
	redis.Start()
	isReady(t, server)
	takes("with the queue")

	db.Kill()
	notReady(t, server, "database")
	db.Start()
	isReady(t, server)
	takes("after the database was away")
	redis.Kill()
	notReady(t, server, "queue")
	redis.Start()
	isReady(t, server)
	takes("after the queue was away")

	p.signal(syscall.SIGTERM)
	code, log := p.ends()
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(log, secretOf(t, dsn)) {
		t.Error("the log shows the password of the database")
	}
}

// TestStopsWhileItWaits: a server without a database can be stopped.
func TestStopsWhileItWaits(t *testing.T) {
	t.Parallel()
	p, _ := startUnready(t, "listen: 127.0.0.1:0\n"+onMySQL("u:hunter2@tcp("+throwaway.Address(t)+")/skadi"))
	log := p.sees("waits for its database")
	contains(t, log, "store.dsn", "cannot be reached")
	p.signal(syscall.SIGTERM)
	code, log := p.ends()
	if code != 0 || strings.Contains(log, "hunter2") {
		t.Errorf("exit code %d:\n%s", code, log)
	}
}

// TestWrongPlaces starts servers with what waiting does not mend: each ends at
// once and says which key of the config to change, and no secret.
func TestWrongPlaces(t *testing.T) {
	t.Parallel()
	db := throwaway.MariaDB(t)
	good := db.Database(t)
	database := good[strings.LastIndex(good, "/")+1:]
	db.Exec(t, "CREATE USER nobody@'%' IDENTIFIED BY 'hunter2'", "CREATE USER reader@'%' IDENTIFIED BY 'hunter2'",
		"GRANT SELECT ON "+database+".* TO reader@'%'")
	newer := db.Database(t)
	skadi(t, "migrate", "up", "-c", configFile(t, onMySQL(newer))).expect(t, 0)
	newerName := newer[strings.LastIndex(newer, "/")+1:]
	db.Exec(t, "INSERT INTO "+newerName+".goose_db_version (version_id, is_applied) VALUES (99999, 1)",
		"UPDATE "+newerName+".settings SET value = '99999' WHERE name = 'min_reader'")
	partitioned := db.Database(t)
	skadi(t, "tokens", "create", "x", "--role", "read", "-c", configFile(t, onMySQL(partitioned)+"queue: {partitions: 8}\n")).expect(t, 0)

	plain := throwaway.Redis(t)
	locked := throwaway.Redis(t, "--requirepass", "hunter2")
	cluster := throwaway.Cluster(t)
	at := func(addr, name string) string { return onMySQL("skadi:hunter2@tcp(" + addr + ")/" + name) }
	tests := []struct {
		name, config string
		says         []string
	}{
		{"a wrong DSN", "store: {driver: mysql, dsn: \"skadi:hunter2@db/skadi\"}\n", []string{"store.dsn"}},
		{"a wrong password", at(db.Addr, database), []string{"store.dsn", "password"}},
		{"an unknown database", onMySQL(strings.Replace(good, database, "nowhere", 1)), []string{"store.dsn", "nowhere"}},
		{"no rights", onMySQL(db.DSNOf("nobody", "hunter2", database)), []string{"store.dsn", "GRANT"}},
		{"no rights to write", onMySQL(db.DSNOf("reader", "hunter2", database)), []string{"store.dsn", "GRANT"}},
		{"a schema that is behind", "store: {driver: mysql, migrate: false, dsn: \"" + db.Database(t) + "\"}\n", []string{"no schema yet", "skadi migrate up -c "}},
		{"a schema of a newer Skadi", onMySQL(newer), []string{"newer Skadi", "99999"}},
		{"another number of partitions", onMySQL(partitioned), []string{"queue.partitions", "8", "16"}},
		{"a file that is behind", "store: {migrate: false}\n", []string{"skadi.db", "skadi migrate up -c "}},
		{"a Redis with a password", onRedis(locked.Addr), []string{"queue.password"}},
		{"a wrong password of Redis", "queue: {driver: redis, addrs: [\"" + locked.Addr + "\"], password: hunter3}\n", []string{"queue.password"}},
		{"a cluster as a single Redis", onRedis(cluster.Addrs()[0]), []string{"queue.cluster"}},
		{"a single Redis as a cluster", "queue: {driver: redis, addrs: [\"" + plain.Addr + "\"], cluster: true}\n", []string{"queue.cluster"}},
		{"a single Redis as a Sentinel", "queue: {driver: redis, addrs: [\"" + plain.Addr + "\"], master: m}\n", []string{"queue.master"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := skadi(t, "serve", "-c", configFile(t, "listen: 127.0.0.1:0\n"+tt.config)).expect(t, 1)
			contains(t, r.stderr, tt.says...)
			for _, secret := range []string{"hunter2", "hunter3", secretOf(t, good)} {
				if strings.Contains(r.stderr, secret) {
					t.Errorf("a password is shown:\n%s", r.stderr)
				}
			}
		})
	}
}

// startUnready starts a server that may have nothing to serve yet.
func startUnready(t *testing.T, config string) (p *process, file string) {
	t.Helper()
	file = configFile(t, "log: {format: json}\n"+config)
	return start(t, nil, "skadi", "serve", "-c", file), file
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	file := t.TempDir() + "/skadi.yaml"
	writeText(t, file, text)
	return file
}

// TestRollingUpgrade: a server goes on beside a newer one that only added to
// the schema, starts again on it, and says so when it cannot go on.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	db := throwaway.MariaDB(t)
	dsn := db.Database(t)
	database := dsn[strings.LastIndex(dsn, "/")+1:]
	p, url, file := startServe(t, onMySQL(dsn))
	isReady(t, url)
	db.Exec(t, "INSERT INTO "+database+".goose_db_version (version_id, is_applied) VALUES (99999, 1)")
	_, second, _ := startServe(t, onMySQL(dsn))
	isReady(t, second)
	contains(t, skadi(t, "migrate", "status", "-c", file).expect(t, 0).stdout, "of use to this one too")
	contains(t, skadi(t, "migrate", "up", "--json", "-c", file).expect(t, 0).stdout, `"version": 99999`)

	db.Exec(t, "UPDATE "+database+".settings SET value = '99999' WHERE name = 'min_reader'")
	notReady(t, url, "schema")
	notReady(t, second, "schema")
	contains(t, skadi(t, "migrate", "status", "-c", file).expect(t, 1).stdout, "of a newer Skadi: run that one")
	contains(t, skadi(t, "migrate", "up", "-c", file).expect(t, 1).stderr, "newer Skadi")
	p.signal(syscall.SIGTERM)
	if code, log := p.ends(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, log)
	}
}
