package redis_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/queue/redis"
	"github.com/letserverrun/skadi/internal/throwaway"
)

const password = "hunter2-and-more"

// refused opens a queue that cannot be, and checks that the error names the
// key to mend and not the password.
func refused(t *testing.T, cfg redis.Config, names ...string) {
	t.Helper()
	cfg.Logger = testLogger(t)
	q, err := redis.Open(t.Context(), cfg)
	if err == nil {
		_ = q.Close()
		t.Fatal("it opened")
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not say %q: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t, "--user", "default", "off", "--user", "skadi", "on", ">"+password, "~*", "&*", "+@all")
	cfg := quick(r.Addr)
	refused(t, cfg, "queue.password", "queue.username")
	cfg.Username, cfg.Password = "skadi", password+"x"
	refused(t, cfg, "queue.password")
	cfg.Username, cfg.Password = "other", password
	refused(t, cfg, "queue.username")
	cfg.Username, cfg.Password = "skadi", password
	open(t, cfg)
}

// rights are what docs/events.md says the user needs.
var rights = []string{
	"~skadi:*", "&skadi:*", "+@connection", "+@stream", "+hset", "+hget", "+hdel", "+unlink",
	"+publish", "+subscribe", "+unsubscribe", "+multi", "+exec", "+info", "+cluster|slots", "+cluster|shards",
}

func TestUserWithTheDocumentedRights(t *testing.T) {
	t.Parallel()
	user := append([]string{"--user", "skadi", "on", ">" + password}, rights...)
	r := throwaway.Redis(t, user...)
	cfg := quick(r.Addr)
	cfg.Username, cfg.Password = "skadi", password
	suite(t, cfg, func(t *testing.T) { r.Do(t, "flushall") })

	doc, err := os.ReadFile("../../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Join(rights, " "); !strings.Contains(string(doc), want) {
		t.Errorf("docs/events.md does not have %q", want)
	}
}

func TestUserWithoutRights(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t,
		"--user", "nokey", "on", ">"+password, "~other:*", "&skadi:*", "+@all",
		"--user", "nochannel", "on", ">"+password, "~skadi:*", "resetchannels", "+@all",
		"--user", "nostream", "on", ">"+password, "~skadi:*", "&skadi:*", "+@all", "-xautoclaim",
	)
	for _, user := range []string{"nokey", "nochannel", "nostream"} {
		cfg := quick(r.Addr)
		cfg.Username, cfg.Password = user, password
		refused(t, cfg, "queue.username", user, "docs/events.md")
	}
}

func TestWrongKind(t *testing.T) {
	t.Parallel()
	single := throwaway.Redis(t)
	c := throwaway.Cluster(t)
	s := throwaway.Sentinel(t)

	cluster := quick(c.Addrs()[0])
	refused(t, cluster, "queue.cluster: true", "queue.addrs")
	one := quick(single.Addr)
	one.Cluster = true
	refused(t, one, "queue.cluster")
	one = quick(single.Addr)
	one.Master = "skadi"
	refused(t, one, "queue.master", "Sentinel")
	sentinel := quick(s.Addrs()[0])
	refused(t, sentinel, "queue.master")
	sentinel = quick(s.Addrs()...)
	sentinel.Master = "nobody"
	refused(t, sentinel, "queue.master", `"nobody"`)
	refused(t, redis.Config{Node: "x"}, "queue.addrs")
}

// oldRedis answers HELLO as that version would, and nothing else.
func oldRedis(t *testing.T, answer string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				buf := make([]byte, 4096)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write([]byte(answer)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestOldRedis(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"6.0": "*6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n6.0.16\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n",
		"5":   "-ERR unknown command `hello`, with args beginning with: \r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, quick(oldRedis(t, answer)), "6.2", "queue.addrs")
		})
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	r := throwaway.RedisTLS(t)
	pem, err := os.ReadFile(r.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	cfg := quick(r.Addr)
	cfg.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	q := open(t, cfg)
	h := newReader()
	consume(t, q, "replies", "one", h)
	publish(t, q, message("a", 0))
	expect(t, h, "a")

	cfg.TLS = nil // it may be that TLS is about to be turned off: not fatal
	q = open(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := q.Ping(ctx); err == nil {
		t.Error("Ping works without TLS")
	}
}
