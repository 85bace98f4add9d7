package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// unfitError is a Redis that waiting does not mend.
type unfitError struct{ msg string }

func (e *unfitError) Error() string { return e.msg }

func isUnfit(err error) bool {
	var unfit *unfitError
	return errors.As(err, &unfit)
}

func unfit(format string, args ...any) error { return &unfitError{fmt.Sprintf(format, args...)} }

// check finds out whether Redis is of the kind that the config says and may be
// used. It returns an unfitError for what the operator has to mend.
func (q *Queue) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*opTimeout)
	defer cancel()
	if err := q.checkKind(ctx); err != nil {
		return err
	}
	if err := q.checkRights(ctx); err != nil {
		return q.explain(err)
	}
	q.checkEviction(ctx)
	if cluster, ok := q.client.(*redis.ClusterClient); ok {
		// Meets all masters, so that one that answers later is known to be new.
		if err := cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return c.Ping(ctx).Err() }); err != nil {
			return q.explain(err)
		}
	}
	q.checked.Store(true)
	return nil
}

// checkKind asks the addresses of the config themselves what they are. One
// that answers is enough.
func (q *Queue) checkKind(ctx context.Context) error {
	var away error
	for _, addr := range q.cfg.Addrs {
		err := q.checkAddr(ctx, addr)
		if err == nil || isUnfit(err) {
			return err
		}
		away = err
	}
	return away
}

func (q *Queue) checkAddr(ctx context.Context, addr string) error {
	sentinel := q.cfg.Master != ""
	o := &redis.Options{
		Addr: addr, TLSConfig: q.cfg.TLS, Username: q.cfg.Username, Password: q.cfg.Password.Reveal(),
		Protocol: 2, MaxRetries: -1, DialTimeout: opTimeout, ReadTimeout: opTimeout,
		ContextTimeoutEnabled: true, DisableIdentity: true,
	}
	if sentinel {
		o.Username, o.Password = q.cfg.SentinelUsername, q.cfg.SentinelPassword.Reveal()
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	// HELLO answers to everybody who may log in, unlike INFO.
	answer, err := c.Do(ctx, "hello").Slice()
	if err != nil {
		switch {
		case sentinel && isAuth(err):
			return unfit("the Sentinel at %s (queue.addrs) refuses the login: set queue.sentinel_password (and queue.sentinel_username): %v", addr, err)
		case redis.HasErrorPrefix(err, "unknown command"):
			return unfit("the server at %s (queue.addrs) is no Redis of version 6.2 or newer", addr)
		}
		return q.explain(fmt.Errorf("%s: %w", addr, err))
	}
	hello := pairs(answer)
	version, mode := fmt.Sprint(hello["version"]), fmt.Sprint(hello["mode"])
	switch {
	case sentinel && mode != "sentinel":
		return unfit("queue.master is set, so queue.addrs must be those of Sentinels, and %s is a Redis (%s)", addr, mode)
	case sentinel:
		return q.checkMaster(ctx, c, addr)
	case mode == "sentinel":
		return unfit("%s (queue.addrs) is a Sentinel: set queue.master to the name under which it knows the master", addr)
	case mode == "cluster" && !q.cfg.Cluster:
		return unfit("%s (queue.addrs) belongs to a Redis Cluster: set queue.cluster: true", addr)
	case mode != "cluster" && q.cfg.Cluster:
		return unfit("%s (queue.addrs) belongs to no Redis Cluster: remove queue.cluster", addr)
	}
	return q.checkVersion(version, addr)
}

// checkMaster asks a Sentinel for the master.
func (q *Queue) checkMaster(ctx context.Context, c *redis.Client, addr string) error {
	_, err := c.Do(ctx, "sentinel", "get-master-addr-by-name", q.cfg.Master).Slice()
	switch {
	case errors.Is(err, redis.Nil):
		return unfit("the Sentinel at %s knows no master of the name %q: correct queue.master", addr, q.cfg.Master)
	case err != nil:
		return q.explain(err)
	}
	hello, err := q.client.Do(ctx, "hello").Slice()
	if err != nil {
		return q.explain(err)
	}
	return q.checkVersion(fmt.Sprint(pairs(hello)["version"]), "the master "+q.cfg.Master)
}

func (q *Queue) checkVersion(version, where string) error {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, errX := strconv.Atoi(major)
	y, errY := strconv.Atoi(minor)
	if errX == nil && errY == nil && (x < 6 || x == 6 && y < 2) {
		return unfit("the Redis at %s (queue.addrs) is of version %s; 6.2 or newer is needed", where, version)
	}
	return nil
}

// checkRights does once what the queue does, at a key of its own. Everything
// stands in one slot, and nothing stays.
func (q *Queue) checkRights(ctx context.Context) error {
	stream := checkKey + ":" + q.cfg.Node
	steps := [][]any{
		{"hdel", checkKey, "ping"},
		{"hset", checkKey, "ping", "1"},
		{"hget", checkKey, "ping"},
		{"xadd", stream, "MAXLEN", "1", "*", "id", "check"},
		{"xgroup", "create", stream, "check", "0", "MKSTREAM"},
		{"xreadgroup", "GROUP", "check", "check", "COUNT", "1", "STREAMS", stream, ">"},
		{"xautoclaim", stream, "check", "check", "0", "0-0", "COUNT", "1", "JUSTID"},
		{"xpending", stream, "check"},
		{"xack", stream, "check", "0-1"},
		{"xinfo", "groups", stream},
		{"xinfo", "consumers", stream, "check"},
		{"xgroup", "delconsumer", stream, "check", "check"},
		{"xlen", stream},
		{"xrange", stream, "-", "+", "COUNT", "1"},
		{"xrevrange", stream, "+", "-", "COUNT", "1"},
		{"xread", "COUNT", "1", "STREAMS", stream, "0"},
		{"xtrim", stream, "MAXLEN", "0"},
		{"unlink", stream},
		{"publish", newsChannel, ""},
	}
	for _, args := range steps {
		err := q.client.Process(ctx, keyed(ctx, args))
		switch {
		case err == nil || errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "BUSYGROUP"):
		case redis.HasErrorPrefix(err, "NOPERM"):
			return unfit("the user %s of Redis (queue.username) lacks rights; docs/events.md has those it needs: %v", q.user(), err)
		default:
			return err
		}
	}
	// Subscribing says only later that it was refused.
	ps := q.client.Subscribe(ctx, wakeChannel, newsChannel)
	defer func() { _ = ps.Close() }()
	if _, err := ps.ReceiveTimeout(ctx, opTimeout); err != nil {
		if redis.HasErrorPrefix(err, "NOPERM") {
			return unfit("the user %s of Redis (queue.username) lacks the right to the channels skadi:*; docs/events.md has those it needs: %v", q.user(), err)
		}
		return err
	}
	return nil
}

// checkEviction warns of a Redis that may throw streams away for room.
func (q *Queue) checkEviction(ctx context.Context) {
	info, err := q.client.Info(ctx, "memory").Result()
	if err != nil {
		return // the user need not have this right
	}
	if policy := infoField(info, "maxmemory_policy"); strings.HasPrefix(policy, "allkeys-") {
		q.log.Warn("redis may throw the events away when its memory is full; set its maxmemory-policy to noeviction", "policy", policy)
	}
}

func (q *Queue) user() string {
	if q.cfg.Username == "" {
		return "default"
	}
	return q.cfg.Username
}

func isAuth(err error) bool {
	for _, prefix := range []string{"WRONGPASS", "NOAUTH", "invalid password", "AUTH"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// explain says what an error of Redis means to the operator. No error of
// go-redis holds a password.
func (q *Queue) explain(err error) error {
	var refused redis.Error
	switch {
	case err == nil || isUnfit(err):
		return err
	case isAuth(err):
		return unfit("redis refuses the login: correct queue.username and queue.password: %v", err)
	case redis.HasErrorPrefix(err, "NOPERM"):
		return fmt.Errorf("the user %s of Redis (queue.username) lacks rights; docs/events.md has those it needs: %w", q.user(), err)
	case redis.HasErrorPrefix(err, "OOM"):
		return fmt.Errorf("redis has no memory left (its maxmemory): %w", err)
	case redis.HasErrorPrefix(err, "READONLY"):
		return fmt.Errorf("redis is a replica and takes no writes; queue.addrs must name the master, or Sentinels with queue.master: %w", err)
	case redis.HasErrorPrefix(err, "LOADING"):
		return fmt.Errorf("redis is starting: %w", err)
	case redis.HasErrorPrefix(err, "MOVED"), redis.HasErrorPrefix(err, "ASK"):
		return fmt.Errorf("the Redis Cluster is being rearranged: %w", err)
	case redis.HasErrorPrefix(err, "CLUSTERDOWN"):
		return fmt.Errorf("the Redis Cluster is down: %w", err)
	case errors.As(err, &refused):
		return fmt.Errorf("redis refuses: %w", err)
	case errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("redis cannot be reached (queue.addrs: %s): %w", strings.Join(q.cfg.Addrs, ", "), err)
}

// keyed makes a command with its key's place, which go-redis does not know of
// all, and needs in a Cluster.
func keyed(ctx context.Context, args []any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, args...)
	switch args[0] {
	case "xgroup", "xinfo":
		cmd.SetFirstKeyPos(2)
	case "xreadgroup", "xread":
		for i, arg := range args {
			if arg == "STREAMS" {
				cmd.SetFirstKeyPos(int8(i + 1)) //nolint:gosec // a few
			}
		}
	}
	return cmd
}

// pairs reads an answer of names and values.
func pairs(answer []any) map[string]any {
	m := make(map[string]any, len(answer)/2)
	for i := 0; i+1 < len(answer); i += 2 {
		if name, ok := answer[i].(string); ok {
			m[name] = answer[i+1]
		}
	}
	return m
}

// backoff doubles from min to max.
func backoff(tries int, lowest, highest time.Duration) time.Duration {
	return min(lowest<<min(max(tries-1, 0), 20), highest)
}
