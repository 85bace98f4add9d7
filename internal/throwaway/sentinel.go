package throwaway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// downAfter is the silence after which a server counts as away. They ask each
// once a second at most; with less than two seconds they would find servers
// away that are only slow to answer.
const downAfter = 2 * time.Second

// SentinelSet is a master and a replica that three Sentinels watch. They find
// that a server is away after two seconds and make the replica the master.
type SentinelSet struct {
	// Master is the name of the set, for clients.
	Master string
	// Servers are the master and the replica that they are at the start.
	Servers []*RedisServer
	// Sentinels are the three.
	Sentinels []*RedisServer
}

// Addrs returns where the Sentinels listen.
func (s *SentinelSet) Addrs() []string { return addrs(s.Sentinels) }

// MasterAddr asks the first Sentinel which server is the master now.
func (s *SentinelSet) MasterAddr(ctx context.Context) (string, error) {
	got, err := s.Sentinels[0].do(ctx, "sentinel", "get-master-addr-by-name", s.Master)
	if err != nil {
		return "", err
	}
	parts, ok := got.([]any)
	if !ok || len(parts) != 2 {
		return "", fmt.Errorf("Sentinel answered %v", got)
	}
	return fmt.Sprintf("%v:%v", parts[0], parts[1]), nil
}

// AwaitFailover waits until old is not the master anymore, and returns the
// server that is.
func (s *SentinelSet) AwaitFailover(t testing.TB, old *RedisServer) *RedisServer {
	t.Helper()
	var leader *RedisServer
	wait(t, "another master", func(ctx context.Context) error {
		addr, err := s.MasterAddr(ctx)
		if err != nil {
			return err
		}
		for _, r := range s.Servers {
			if r.Addr != addr || r == old {
				continue
			}
			// The Sentinels may name it before it knows itself.
			role, err := r.do(ctx, "role")
			if parts, ok := role.([]any); err == nil && ok && len(parts) > 0 && parts[0] == "master" {
				leader = r
				return nil
			}
		}
		return fmt.Errorf("the master is still %s", addr)
	})
	return leader
}

// Sentinel starts a master, its replica and three Sentinels, and waits until
// the replica has what the master has.
func Sentinel(t testing.TB) *SentinelSet {
	t.Helper()
	s := &SentinelSet{Master: "skadi"}
	// A file each, since a promoted server writes its new role there, and must
	// come back with it.
	master := configured(t, "appendonly yes\nappendfsync always\nsave \"\"\nrepl-diskless-sync-delay 0\n")
	replica := configured(t, "appendonly yes\nappendfsync always\nsave \"\"\nrepl-diskless-sync-delay 0\nreplicaof "+spaced(master)+"\n")
	s.Servers = []*RedisServer{master, replica}
	wait(t, "the replica", func(ctx context.Context) error {
		info, err := replica.do(ctx, "info", "replication")
		if err == nil && !strings.Contains(fmt.Sprint(info), "master_link_status:up") {
			err = fmt.Errorf("its link is down: %v", info)
		}
		return err
	})
	for range 3 {
		s.Sentinels = append(s.Sentinels, configured(t, "", "--sentinel"))
	}
	for _, one := range s.Sentinels {
		// Redis 7 lets them hear of each other, and mend what came back, in
		// less than the usual ten seconds; older ones take that long.
		_, _ = one.do(t.Context(), "sentinel", "debug", "ping-period", 200, "info-period", 500, "publish-period", 200, "ask-period", 200)
		one.Do(t, "sentinel", "monitor", s.Master, "127.0.0.1", master.port(), 2)
		one.Do(t, "sentinel", "set", s.Master, "down-after-milliseconds", downAfter.Milliseconds(), "failover-timeout", 4000)
	}
	for _, one := range s.Sentinels {
		wait(t, "the Sentinels to know each other and the replica", func(ctx context.Context) error {
			return knowsAll(ctx, one, s.Master)
		})
	}
	return s
}

// knowsAll returns nil if a Sentinel knows two others and one replica.
func knowsAll(ctx context.Context, one *RedisServer, master string) error {
	got, err := one.do(ctx, "sentinel", "master", master)
	if err != nil {
		return err
	}
	fields := map[string]string{}
	switch got := got.(type) {
	case map[any]any:
		for k, v := range got {
			fields[fmt.Sprint(k)] = fmt.Sprint(v)
		}
	case []any:
		for i := 0; i+1 < len(got); i += 2 {
			fields[fmt.Sprint(got[i])] = fmt.Sprint(got[i+1])
		}
	}
	if fields["num-other-sentinels"] != "2" || fields["num-slaves"] != "1" || fields["flags"] != "master" {
		return fmt.Errorf("it knows %s others and %s replicas of a %s", fields["num-other-sentinels"], fields["num-slaves"], fields["flags"])
	}
	return nil
}

// configured starts a server with a config file that it may write itself.
func configured(t testing.TB, config string, options ...string) *RedisServer {
	t.Helper()
	r := &RedisServer{}
	r.launch(t, func(dir, port string) ([]string, error) {
		path := filepath.Join(dir, "redis.conf")
		text := "bind 127.0.0.1\nport " + port + "\n" + config
		return append([]string{path}, options...), os.WriteFile(path, []byte(text), 0o600)
	})
	return r
}

// port returns the port of the server's address.
func (r *RedisServer) port() int {
	_, port, _ := strings.Cut(r.Addr, ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		panic(err) // launch made it
	}
	return n
}

func spaced(r *RedisServer) string { return strings.Replace(r.Addr, ":", " ", 1) }

func addrs(servers []*RedisServer) []string {
	var list []string
	for _, r := range servers {
		list = append(list, r.Addr)
	}
	return list
}

// wait fails the test if what does not come about.
func wait(t testing.TB, what string, try func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := until(ctx, func() error { return try(ctx) }); err != nil {
		t.Fatalf("waited for %s: %v", what, err)
	}
}
