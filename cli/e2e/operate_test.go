//go:build unix

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

func TestPush(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	up, url := startUp(t, data)
	token := token(t, "tokens", "create", "ci", "--role", "admin", "--data", data)
	push := func(args ...string) result {
		return skadiIn(t, "", []string{"SKADI_SERVER=" + url, "SKADI_TOKEN=" + token}, append([]string{"push"}, args...)...)
	}

	r := push("--wait", "local", "hello", "Ada").expect(t, 0)
	if r.stdout != "Hello, Ada!\n" {
		t.Errorf("stdout %q", r.stdout)
	}
	contains(t, r.stderr, "queued for local", "succeeded")

	r = push("--wait", "local", "countdown 2").expect(t, 0)
	if r.stdout != "2\n1\ndone\n" {
		t.Errorf("stdout %q", r.stdout)
	}

	r = push("--wait", "local", "countdown", "nope").expect(t, 1)
	contains(t, r.stdout, "how many seconds")
	contains(t, r.stderr, "failed")

	push("--wait", "nobody", "hello").expect(t, 2)
	contains(t, push("local", "hello", "--force").expect(t, 2).stderr, "put -- before")

	skadi(t, "agents", "create", "asleep", "--data", data).expect(t, 0)
	r = push("--wait", "asleep", "wake up").expect(t, 3)
	contains(t, r.stderr, "expired (agent_offline): asleep is offline")

	var j agentapi.Job
	decode(t, push("--wait", "--json", "local", "hello", "Grace").expect(t, 0).stdout, &j)
	if j.Status != "succeeded" || j.Result == nil || j.Result.Output != "Hello, Grace!\n" || j.Sender.ID != "ci" {
		t.Errorf("job %+v", j)
	}

	// The same key makes one job.
	first := push("--idempotency-key", "once", "local", "hello", "Once").expect(t, 0).stdout
	if second := push("--idempotency-key", "once", "local", "hello", "Once").expect(t, 0).stdout; second != first {
		t.Errorf("codes %q and %q", first, second)
	}
	contains(t, push("--idempotency-key", "once", "local", "hello", "Twice").expect(t, 2).stderr, "key")

	up.presses(ctrlC)
	up.ends()
}

func TestPushCancels(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	_, url := startUp(t, data)
	token := token(t, "tokens", "create", "ci", "--role", "admin", "--data", data)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} { // Ctrl-C, and what CI systems send
		p := start(t, []string{"SKADI_TOKEN=" + token}, "skadi", "push", "--wait", "--server", url, "local", "countdown", "600")
		p.sees("600\n")
		p.signal(s)
		p.signal(s) // as GNU timeout does, and who hands a Ctrl-C on
		code, out := p.ends()
		if code != 4 {
			t.Errorf("%s: exit code %d:\n%s", s, code, out)
		}
		contains(t, out, "canceling #", "canceled")
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	// The first token needs no server.
	admin := token(t, "tokens", "create", "ops", "--role", "admin", "--data", data)
	_, url := startUp(t, data)
	if status := get(t, url+"/v1/jobs", admin); status != http.StatusOK {
		t.Fatalf("status %d with a token from before the start", status)
	}
	read := token(t, "tokens", "create", "board", "--role", "read", "--data", data)
	if status := get(t, url+"/v1/jobs", read); status != http.StatusOK {
		t.Fatalf("status %d with a token made while the server runs", status)
	}

	contains(t, skadi(t, "tokens", "create", "board", "--role", "read", "--data", data).expect(t, 2).stderr, "board")
	contains(t, skadi(t, "tokens", "create", "x", "--role", "king", "--data", data).expect(t, 2).stderr, "admin, push or read")
	contains(t, skadi(t, "tokens", "create", "bad name", "--role", "read", "--data", data).expect(t, 2).stderr, "bad name")
	r := skadi(t, "tokens", "list", "--data", data).expect(t, 0)
	contains(t, r.stdout, "ops", "admin", "board", "read")
	for _, secret := range []string{admin, read} {
		if strings.Contains(r.stdout, secret) {
			t.Error("the list shows a secret")
		}
	}

	contains(t, skadi(t, "tokens", "revoke", "board", "--json", "--data", data).expect(t, 0).stdout, `"revoked": true`)
	eventually(t, "the revoked token works no more", func() bool {
		return get(t, url+"/v1/jobs", read) == http.StatusUnauthorized
	})
	contains(t, skadi(t, "tokens", "revoke", "board", "--data", data).expect(t, 2).stderr, "no live token")
	if r := skadi(t, "tokens", "list", "--data", data).expect(t, 0); strings.Contains(r.stdout, "board") {
		t.Errorf("the list shows a revoked token:\n%s", r.stdout)
	}
	contains(t, skadi(t, "tokens", "list", "--all", "--data", data).expect(t, 0).stdout, "board")
}

func TestAgents(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	_, url := startUp(t, data)
	first := token(t, "agents", "create", "web-1", "--data", data)
	if status := poll(t, url, first); status != http.StatusOK {
		t.Fatalf("status %d with a new agent's token", status)
	}
	contains(t, skadi(t, "agents", "create", "web-1", "--data", data).expect(t, 2).stderr, "rotate web-1 --data "+data+"`")
	contains(t, skadi(t, "agents", "create", "jobs", "--data", data).expect(t, 2).stderr, "command of the chat")
	contains(t, skadi(t, "agents", "--data", data).expect(t, 0).stdout, "web-1", "online", "local")
	var list agentapi.AgentList
	decode(t, skadi(t, "agents", "list", "--json", "--data", data).expect(t, 0).stdout, &list)
	if len(list.Agents) != 2 || !list.Agents[0].Online || len(list.Agents[0].Commands) != 4 {
		t.Errorf("agents %+v", list.Agents)
	}

	second := token(t, "agents", "rotate", "web-1", "--data", data)
	if status := poll(t, url, second); status != http.StatusOK {
		t.Fatalf("status %d with the rotated token", status)
	}
	eventually(t, "the old token works no more", func() bool { return poll(t, url, first) == http.StatusUnauthorized })

	contains(t, skadi(t, "agents", "remove", "web-1", "--json", "--data", data).expect(t, 0).stdout, `"removed": true`)
	eventually(t, "the agent is told that it was removed", func() bool { return poll(t, url, second) == http.StatusGone })
	contains(t, skadi(t, "agents", "remove", "web-1", "--data", data).expect(t, 2).stderr, "no agent named")
	contains(t, skadi(t, "agents", "rotate", "web-1", "--data", data).expect(t, 2).stderr, "no agent named")
}

func TestJobs(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	skadiIn(t, "local hello Ada\nlocal countdown nope\n", nil, "up", "--data", data, "--listen", "127.0.0.1:0").expect(t, 1)
	contains(t, skadi(t, "jobs", "--data", data).expect(t, 0).stdout, "CODE", "hello Ada", "succeeded", "failed", "terminal:")
	if r := skadi(t, "jobs", "--status", "failed", "--data", data).expect(t, 0); strings.Contains(r.stdout, "hello Ada") {
		t.Errorf("--status shows others:\n%s", r.stdout)
	}
	contains(t, skadi(t, "jobs", "--status", "lost", "--data", data).expect(t, 2).stderr, "queuing, sent")
	jobs := listJobs(t, data)
	if len(jobs) != 2 {
		t.Fatalf("jobs %+v", jobs)
	}
	for _, name := range []string{jobs[1].Code, "#" + strings.ToUpper(jobs[1].Code), jobs[1].ID} {
		contains(t, skadi(t, "jobs", "show", name, "--data", data).expect(t, 0).stdout, jobs[1].ID, "hello Ada", "Hello, Ada!")
	}
	contains(t, skadi(t, "jobs", "why", jobs[0].Code, "--data", data).expect(t, 0).stdout, "queuing", "sent", "failed", "reported a failure")
	contains(t, skadi(t, "jobs", "why", "zzzzzz", "--data", data).expect(t, 2).stderr, "no job")
}

func TestNoDatabase(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "typo")
	for _, args := range [][]string{{"jobs"}, {"agents"}, {"tokens", "list"}, {"migrate", "status"}} {
		r := skadi(t, append(args, "--data", data)...).expect(t, 1)
		contains(t, r.stderr, "no database at "+data)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("a folder was made by reading")
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	contains(t, skadi(t, "migrate", "--data", data).expect(t, 0).stdout, "up to date")
	contains(t, skadi(t, "migrate", "status", "--data", data).expect(t, 0).stdout, "up to date")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args   string
		code   int
		stderr string
	}{
		{"pusj", 2, `did you mean "skadi push"`},
		{"tokens creat x", 2, `did you mean "skadi tokens create"`},
		{"agents creat x", 2, `did you mean "skadi agents create"`},
		{"jobs x", 2, "skadi jobs"},
		{"up extra", 2, "extra"},
		{"up --nope", 2, "--nope"},
		{"tokens revoke", 2, "NAME is missing"},
		{"push", 2, "AGENT and MESSAGE are missing"},
		{"push --server http://127.0.0.1 --token-file /dev/null a b", 2, "/dev/null is empty"},
		{"config check -c nowhere.yaml", 1, "there is no config at nowhere.yaml; name one with -c FILE"},
		{"version extra", 2, "extra"},
	} {
		contains(t, skadi(t, strings.Fields(tt.args)...).expect(t, tt.code).stderr, tt.stderr)
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	if !regexp.MustCompile(`^skadi \S+ \(.*\)\n$`).MatchString(skadi(t, "--version").expect(t, 0).stdout) {
		t.Error("no version")
	}
	// Every command has help with an example.
	for _, command := range strings.Split(`up
serve
push
jobs
jobs show
jobs why
accounts
agents
agents list
agents create
agents rotate
agents remove
nodes
undelivered
tokens
tokens create
tokens list
tokens revoke
migrate
migrate up
migrate status
store
store copy
config
config check
config schema
teams
teams manifest
version`, "\n") {
		r := skadi(t, append(strings.Fields(command), "--help")...).expect(t, 0)
		contains(t, r.stdout, "Usage:", "Examples:", "skadi "+strings.Fields(command)[0])
	}
}

// token runs a command that prints a token alone.
func token(t *testing.T, args ...string) string {
	t.Helper()
	r := skadi(t, args...).expect(t, 0)
	if !regexp.MustCompile(`^skd_[a-z2-7]{52}\n$`).MatchString(r.stdout) {
		t.Fatalf("not a token alone: %q", r.stdout)
	}
	return strings.TrimSpace(r.stdout)
}

func get(t *testing.T, url, token string) (status int) {
	return call(t, http.MethodGet, url, token, "")
}

// poll checks an agent in and takes no job.
func poll(t *testing.T, url, token string) (status int) {
	return call(t, http.MethodPost, url+"/v1/agent/poll", token, `{"max":0}`)
}

func call(t *testing.T, method, url, token, body string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// eventually waits for something that another process brings about, and
// that nothing tells of.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(patience); !holds(); {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("it never came about that %s", what)
		}
	}
}
