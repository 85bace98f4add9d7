package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// clusterReload is how old a client's picture of a Cluster may be. A node that
// is gone cannot redirect to the replica that took over, so that nothing else
// tells of it; the client's own default is a minute.
const clusterReload = 2 * time.Second

// newClient makes the client. Nothing is tried again inside it: whoever calls
// does so with backoff, and knows then that it did. (A Cluster's redirections
// are followed.)
func (q *Queue) newClient() redis.UniversalClient {
	c := q.cfg
	o := &redis.UniversalOptions{
		Addrs: c.Addrs, MasterName: c.Master, Username: c.Username, Password: c.Password.Reveal(),
		SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword.Reveal(),
		TLSConfig: c.TLS, ClientName: "skadi",
		Protocol:    2, // what the 6.2 and the 7 answer is the same
		MaxRetries:  -1,
		DialTimeout: opTimeout, ReadTimeout: opTimeout, WriteTimeout: opTimeout, ContextTimeoutEnabled: true,
		DialerRetries:   1,
		DisableIdentity: true, // not every ACL user may use it
	}
	// Hand-overs that a hosted Redis announces need the protocol's version 3.
	plain := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch {
	case c.Cluster:
		cluster := o.Cluster()
		cluster.MaintNotificationsConfig = plain
		cluster.ClusterStateReloadInterval = clusterReload
		cluster.NewClient = func(one *redis.Options) *redis.Client {
			one.OnConnect = q.onConnect(one.Addr)
			return redis.NewClient(one)
		}
		return redis.NewClusterClient(cluster)
	case c.Master != "":
		o.OnConnect = q.onConnect("")
		return redis.NewFailoverClient(o.Failover())
	default:
		o.OnConnect = q.onConnect("")
		simple := o.Simple()
		simple.MaintNotificationsConfig = plain
		return redis.NewClient(simple)
	}
}

// servers remembers which Redis answered at an address.
type servers struct {
	mu    sync.Mutex
	known map[string]string
}

// changed notes who answers at an address, and reports whether it was another
// one before.
func (s *servers) changed(addr, who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, seen := s.known[addr]
	first := len(s.known) == 0
	if s.known == nil {
		s.known = make(map[string]string)
	}
	s.known[addr] = who
	return seen && old != who || !seen && !first
}

// onConnect finds out at each new connection whether another Redis answers
// than before: one that was restarted may have lost the last second, and a
// replica that became master what had not reached it. Neither says so.
func (q *Queue) onConnect(addr string) func(ctx context.Context, cn *redis.Conn) error {
	return func(ctx context.Context, cn *redis.Conn) error {
		server, err := cn.Info(ctx, "server").Result()
		if err != nil {
			return ignoreRedis(err)
		}
		if infoField(server, "redis_mode") == "sentinel" {
			return nil // go-redis calls this for its connections to Sentinels too
		}
		replication, err := cn.Info(ctx, "replication").Result()
		if err != nil {
			return ignoreRedis(err)
		}
		who := infoField(server, "run_id") + "/" + infoField(replication, "master_replid")
		if q.servers.changed(addr, who) {
			q.suspect("another redis answers")
		}
		return nil
	}
}

// ignoreRedis leaves errors of the connection only: a user may not be allowed
// to use INFO, and a Redis that is loading answers later.
func ignoreRedis(err error) error {
	var refused redis.Error
	if errors.As(err, &refused) {
		return nil
	}
	return err
}

// infoField returns a field of INFO's answer.
func infoField(info, name string) string {
	_, after, found := strings.Cut("\n"+info, "\n"+name+":")
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(value)
}

// quiet keeps go-redis, which logs to standard error by itself, to the debug
// level of the program's log. Its errors are reported by who gets them.
var quiet = sync.OnceFunc(func() { redis.SetLogger(clientLog{}) })

type clientLog struct{}

func (clientLog) Printf(ctx context.Context, format string, v ...any) {
	slog.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, v...))
}
