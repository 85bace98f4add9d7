package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/queue/redis"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// publishUntil publishes as the relay does: until it works.
func publishUntil(t *testing.T, q *redis.Queue, messages ...queue.Message) {
	t.Helper()
	until(t, "Publish to work again", func() error { return q.Publish(t.Context(), messages) })
}

// drain waits for a message, past whatever comes before it.
func drain(t *testing.T, r *reader, id string) (seen []string) {
	t.Helper()
	for {
		m := wait(t, r.got, id)
		seen = append(seen, m.ID)
		if m.ID == id {
			return seen
		}
	}
}

// forget takes the losses that were told so far.
func forget(r *reader) {
	for {
		select {
		case <-r.lost:
		default:
			return
		}
	}
}

func TestRedisIsKilled(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	h := newReader()
	consume(t, q, "replies", "one", h)
	publish(t, q, numbered("a", 10, 0)...)
	drain(t, h, "a.9")
	forget(h)

	r.Kill()
	if err := q.Publish(t.Context(), numbered("b", 1, 0)); err == nil {
		t.Fatal("Publish works without a redis")
	} else if strings.Count(err.Error(), "queue.addrs") != 1 {
		t.Errorf("Publish: %v; it names the key of the config not exactly once", err)
	}
	if err := q.Ping(t.Context()); err == nil {
		t.Error("Ping works without a redis")
	}
	wait(t, h.lost, "Lost while redis is away")
	r.Start()
	wait(t, h.lost, "Lost once redis is back")
	publishUntil(t, q, numbered("c", 10, 0)...)
	if seen := drain(t, h, "c.9"); len(seen) < 10 {
		t.Errorf("got %v", seen)
	}
	until(t, "Ping", func() error { return q.Ping(t.Context()) })
}

func TestRedisIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	r.Kill()
	q := open(t, quick(r.Addr))
	if err := q.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "queue.addrs") {
		t.Errorf("Ping: %v", err)
	}
	if _, err := q.Subscribe(t.Context(), "default"); err == nil {
		t.Error("Subscribe works without a redis")
	}
	h := newReader()
	start(t, q, "replies", "one", h)
	wait(t, h.lost, "Lost though redis is away")
	r.Start()
	wait(t, h.lost, "Lost once redis is there")
	publishUntil(t, q, numbered("a", 3, 1)...)
	drain(t, h, "a.2")
	until(t, "Ping", func() error { return q.Ping(t.Context()) })
}

func TestRedisIsEmptied(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	h := newReader()
	consume(t, q, "replies", "one", h)
	publish(t, q, numbered("a", 10, 0)...)
	drain(t, h, "a.9")
	forget(h)

	r.Do(t, "flushall")
	// Published before the group is made anew; it must come all the same.
	publishUntil(t, q, numbered("b", 3, 0)...)
	wait(t, h.lost, "Lost after FLUSHALL")
	drain(t, h, "b.2")
	publish(t, q, numbered("c", 3, 2)...)
	drain(t, h, "c.2")
}

func TestRedisIsReplacedByAnEmptyOne(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	h := newReader()
	consume(t, q, "replies", "one", h)
	publish(t, q, numbered("a", 10, 0)...)
	drain(t, h, "a.9")
	forget(h)

	r.Kill()
	r.Empty()
	r.Start()
	publishUntil(t, q, numbered("b", 3, 0)...)
	wait(t, h.lost, "Lost after the replacement")
	drain(t, h, "b.2")
}

func TestRedisIsFrozen(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	h := newReader()
	stop := consume(t, q, "replies", "one", h)
	r.Stop()
	defer r.Cont()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := q.Publish(ctx, numbered("a", 1, 0)); err == nil {
		t.Error("Publish works with a frozen redis")
	}
	stop() // ends though redis does not answer
	r.Cont()
	again := newReader()
	consume(t, q, "replies", "one", again)
	publishUntil(t, q, numbered("b", 1, 0)...)
	drain(t, again, "b.0")
}

func TestRedisHasNoMemory(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t, "--maxmemory-policy", "noeviction")
	q := open(t, quick(r.Addr))
	h := newReader()
	consume(t, q, "replies", "one", h)
	publish(t, q, message("before", 0))
	drain(t, h, "before")
	r.Do(t, "config", "set", "maxmemory", "1")
	err := q.Publish(t.Context(), numbered("a", 3, 0))
	if err == nil || !strings.Contains(err.Error(), "memory") {
		t.Fatalf("Publish: %v", err)
	}
	if err := q.Ping(t.Context()); err != nil {
		t.Logf("Ping: %v", err)
	}
	r.Do(t, "config", "set", "maxmemory", "0")
	publishUntil(t, q, numbered("a", 3, 0)...)
	if seen := drain(t, h, "a.2"); !slices.Equal(seen, []string{"a.0", "a.1", "a.2"}) {
		t.Errorf("got %v: part of a refused batch was kept", seen)
	}
}

func TestRedisBecomesAReplica(t *testing.T) {
	t.Parallel()
	master, r := throwaway.Redis(t), throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	h := newReader()
	consume(t, q, "replies", "one", h)
	host, port, _ := strings.Cut(master.Addr, ":")
	r.Do(t, "replicaof", host, port)
	until(t, "it to refuse", func() error {
		if err := q.Publish(t.Context(), numbered("a", 1, 0)); err == nil || !strings.Contains(err.Error(), "replica") {
			return fmt.Errorf("Publish: %w", err)
		}
		return nil
	})
	if err := q.Ping(t.Context()); err == nil {
		t.Error("Ping of a replica works")
	}
	forget(h)
	r.Do(t, "replicaof", "no", "one")
	publishUntil(t, q, numbered("b", 1, 0)...)
	wait(t, h.lost, "Lost once it is written again")
	drain(t, h, "b.0")
}

func TestSentinelFailsOver(t *testing.T) {
	t.Parallel()
	s := throwaway.Sentinel(t)
	cfg := quick(s.Addrs()...)
	cfg.Master = s.Master
	q := open(t, cfg)
	h := newReader()
	consume(t, q, "replies", "one", h)
	publish(t, q, numbered("a", 10, 0)...)
	drain(t, h, "a.9")
	forget(h)
	old := s.Servers[0]
	old.Kill()
	s.AwaitFailover(t, old)
	publishUntil(t, q, numbered("b", 10, 1)...)
	wait(t, h.lost, "Lost after the failover")
	drain(t, h, "b.9")
	until(t, "Ping", func() error { return q.Ping(t.Context()) })
	old.Start()
}

func TestClusterLosesANode(t *testing.T) {
	t.Parallel()
	c := throwaway.Cluster(t)
	cfg := quick(c.Addrs()...)
	cfg.Cluster = true
	q := open(t, cfg)
	h := newReader()
	consume(t, q, "replies", "one", h)
	publish(t, q, numbered("a", 10, 0)...)
	drain(t, h, "a.9")
	forget(h)
	lost := c.Owner(t, "skadi:events:{0}")
	lost.Kill()
	if err := q.Publish(t.Context(), numbered("b", 1, 0)); err == nil {
		t.Fatal("Publish works without the partition's node")
	}
	wait(t, h.lost, "Lost while the node is away")
	lost.Start()
	c.AwaitOK(t)
	publishUntil(t, q, numbered("c", 10, 0)...)
	drain(t, h, "c.9")
	publishUntil(t, q, numbered("d", 10, 1)...)
	drain(t, h, "d.9")
}

func TestClusterPromotesAReplica(t *testing.T) {
	t.Parallel()
	c := throwaway.ReplicatedCluster(t)
	cfg := quick(c.Addrs()...)
	cfg.Cluster = true
	q := open(t, cfg)
	h := newReader()
	consume(t, q, "replies", "one", h)
	publish(t, q, numbered("a", 10, 0)...)
	drain(t, h, "a.9")
	forget(h)
	c.Owner(t, "skadi:events:{0}").Kill()
	publishUntil(t, q, numbered("b", 10, 0)...)
	wait(t, h.lost, "Lost after the promotion")
	drain(t, h, "b.9")
}

func TestClosedWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q, err := redis.Open(t.Context(), quick(r.Addr))
	if err != nil {
		t.Fatal(err)
	}
	h := newReader()
	done := make(chan error, 1)
	go func() { done <- q.Consume(t.Context(), "replies", "one", nil, h) }()
	wait(t, h.lost, "Lost")
	r.Kill()
	if err := q.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := wait(t, done, "the end of Consume"); err != nil {
		t.Errorf("Consume: %v", err)
	}
	if err := q.Ping(t.Context()); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Ping: %v", err)
	}
}
