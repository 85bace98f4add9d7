package throwaway_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/internal/throwaway"
)

// startServer makes this test binary start servers and wait, to be killed.
const startServer = "SKADI_TEST_START_SERVER"

func TestMain(m *testing.M) {
	// A closed client of a server that was killed tries once a second whether
	// it is back, and only then finds itself closed.
	dial := goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
	goleak.VerifyTestMain(throwaway.Wrap(m), dial)
}

func TestMariaDBIsShared(t *testing.T) {
	t.Parallel()
	a, b := throwaway.MariaDB(t), throwaway.MariaDB(t)
	if a != b {
		t.Fatal("two servers")
	}
	one, two := a.Database(t), a.Database(t)
	if one == two {
		t.Fatal("one database for two")
	}
	for _, dsn := range []string{one, two} {
		query(t, dsn, "CREATE TABLE a (b INT PRIMARY KEY)")
		query(t, dsn, "INSERT INTO a VALUES (1)")
	}
	var flush string
	open(t, one, func(db *sql.DB) error {
		return db.QueryRowContext(t.Context(), "SELECT @@innodb_flush_log_at_trx_commit").Scan(&flush)
	})
	if flush != "1" {
		t.Fatalf("innodb_flush_log_at_trx_commit is %s", flush)
	}
	defer func() {
		if recover() == nil {
			t.Error("the shared server can be killed")
		}
	}()
	a.Kill()
}

func TestMariaDBKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	db := throwaway.NewMariaDB(t, "--max-connections=20")
	dsn := db.Database(t)
	query(t, dsn, "CREATE TABLE a (b INT PRIMARY KEY)")
	for i := range 20 {
		query(t, dsn, fmt.Sprintf("INSERT INTO a VALUES (%d)", i))
	}
	addr := db.Addr
	db.Kill()
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Fatal("it listens after it was killed")
	}
	db.Start()
	if db.Addr != addr {
		t.Fatalf("it moved from %s to %s", addr, db.Addr)
	}
	var n int
	open(t, dsn, func(c *sql.DB) error { return c.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM a").Scan(&n) })
	if n != 20 {
		t.Fatalf("%d rows after the crash, want 20", n)
	}

	db.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	open(t, dsn, func(c *sql.DB) error {
		if err := c.PingContext(ctx); err == nil {
			t.Error("it answers while it is stopped")
		}
		return nil
	})
	db.Cont()
	query(t, dsn, "INSERT INTO a VALUES (100)")
}

func TestRedis(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t, "--maxmemory", "50mb")
	c := r.Client(t)
	must(t, c.Set(t.Context(), "a", "b", 0).Err())
	r.Restart()
	if got, err := c.Get(t.Context(), "a").Result(); err != nil || got != "b" {
		t.Fatalf("after the crash: %q, %v", got, err)
	}
	if got := fmt.Sprint(r.Do(t, "config", "get", "maxmemory")); !strings.Contains(got, "52428800") {
		t.Fatalf("the option was not taken: %s", got)
	}
}

func TestRedisWithUser(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t, "--requirepass", "other", "--user", "skadi", "on", ">secret", "~skadi:*", "&skadi:*", "+@all")
	c := redis.NewClient(&redis.Options{Addr: r.Addr, Username: "skadi", Password: "secret"})
	defer func() { _ = c.Close() }()
	must(t, c.Set(t.Context(), "skadi:a", "b", 0).Err())
	if err := c.Set(t.Context(), "a", "b", 0).Err(); err == nil {
		t.Fatal("a key that is not the user's")
	}
	if err := r.Client(t).Ping(t.Context()).Err(); err == nil {
		t.Fatal("let in without a password")
	}
}

func TestRedisTLS(t *testing.T) {
	t.Parallel()
	r := throwaway.RedisTLS(t)
	must(t, r.Client(t).Ping(t.Context()).Err())
	plain := redis.NewClient(&redis.Options{Addr: r.Addr, MaxRetries: -1})
	defer func() { _ = plain.Close() }()
	if err := plain.Ping(t.Context()).Err(); err == nil {
		t.Fatal("it speaks without TLS too")
	}
	if pem, err := os.ReadFile(r.CAFile); err != nil || !strings.Contains(string(pem), "CERTIFICATE") {
		t.Fatalf("no certificate to trust: %q, %v", pem, err)
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	s := throwaway.Sentinel(t)
	c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: s.Master, SentinelAddrs: s.Addrs()})
	defer func() { _ = c.Close() }()
	must(t, c.Set(t.Context(), "a", "b", 0).Err())
	must(t, c.Wait(t.Context(), 1, time.Minute).Err())
	old := s.Servers[0]
	old.Kill()
	if now := s.AwaitFailover(t, old); now != s.Servers[1] {
		t.Fatalf("the master is %s", now.Addr)
	}
	eventually(t, func() error { return c.Set(t.Context(), "c", "d", 0).Err() })
	if got, err := c.Get(t.Context(), "a").Result(); err != nil || got != "b" {
		t.Fatalf("after the failover: %q, %v", got, err)
	}
	old.Start()
	eventually(t, func() error {
		// It ends its connections when it becomes a replica.
		got, err := old.Client(t).Do(t.Context(), "role").Result()
		if err == nil && !strings.HasPrefix(fmt.Sprint(got), "[slave") {
			err = fmt.Errorf("the old master is %v", got)
		}
		return err
	})
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := throwaway.Cluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ClusterStateReloadInterval: time.Second})
	defer func() { _ = client.Close() }()
	for i := range 30 {
		must(t, client.Set(t.Context(), strconv.Itoa(i), i, 0).Err())
	}
	owner := c.Owner(t, "7")
	if got := owner.Do(t, "get", "7"); got != "7" {
		t.Fatalf("the owner has %v", got)
	}
	owner.Restart()
	c.AwaitOK(t)
	eventually(t, func() error { return client.Set(t.Context(), "7", "again", 0).Err() })
}

func TestReplicatedCluster(t *testing.T) {
	t.Parallel()
	c := throwaway.ReplicatedCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ClusterStateReloadInterval: time.Second})
	defer func() { _ = client.Close() }()
	must(t, client.Set(t.Context(), "7", "a", 0).Err())
	c.Owner(t, "7").Kill()
	eventually(t, func() error { return client.Set(t.Context(), "7", "b", 0).Err() })
}

// TestNothingStaysBehind kills a test binary and looks for its servers.
func TestNothingStaysBehind(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("only Linux ends a child with its parent")
	}
	throwaway.Program(t, "redis-server", "redis-server")
	cmd := exec.Command(os.Args[0], "-test.run", "^TestStartForAnother$", "-test.v")
	cmd.Env = append(os.Environ(), startServer+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var addr string
	for buf := make([]byte, 1<<16); !strings.Contains(addr, "listens on"); {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, addr)
		}
		addr += string(buf[:n])
	}
	_, addr, _ = strings.Cut(addr, "listens on ")
	addr = strings.Fields(addr)[0]
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	eventually(t, func() error {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return nil
		}
		_ = c.Close()
		return fmt.Errorf("%s still listens", addr)
	})
}

func TestStartForAnother(t *testing.T) {
	if os.Getenv(startServer) == "" {
		t.Skip("runs as a child of TestNothingStaysBehind")
	}
	fmt.Printf("listens on %s \n", throwaway.Redis(t).Addr)
	<-time.After(time.Minute) // far longer than it will live
}

func open(t *testing.T, dsn string, do func(*sql.DB) error) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	must(t, err)
	defer func() { _ = db.Close() }()
	must(t, do(db))
}

func query(t *testing.T, dsn, text string) {
	t.Helper()
	open(t, dsn, func(db *sql.DB) error {
		_, err := db.ExecContext(t.Context(), text)
		return err
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-tick.C
	}
}
