//go:build unix

package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestRedisFaults breaks Redis under load. The outbox is the truth: nothing
// is lost, and nothing repeats.
func TestRedisFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*testing.T, *throwaway.RedisServer, *load){
		"killed": func(t *testing.T, r *throwaway.RedisServer, l *load) {
			for _, down := range []time.Duration{0, 3 * time.Second} {
				r.Kill()
				programs.Pause(t.Context(), down)
				r.Start()
				l.flows(20)
			}
		},
		"away for good": func(_ *testing.T, r *throwaway.RedisServer, l *load) {
			r.Kill()
			l.flows(60)
		},
		"stopped": func(t *testing.T, r *throwaway.RedisServer, l *load) {
			r.Stop()
			programs.Pause(t.Context(), 5*time.Second)
			r.Cont()
			l.flows(20)
		},
		"flushed": func(t *testing.T, r *throwaway.RedisServer, l *load) {
			for range 5 {
				r.Do(t, "flushall")
				l.flows(10)
			}
		},
		"replaced by an empty one": func(t *testing.T, r *throwaway.RedisServer, l *load) {
			r.Kill()
			r.Empty()
			r.Start()
			l.flows(30)
			if n := r.Do(t, "dbsize"); n == int64(0) {
				t.Error("nothing came to the new Redis")
			}
		},
		"full": func(t *testing.T, r *throwaway.RedisServer, l *load) {
			r.Do(t, "config", "set", "maxmemory-policy", "noeviction", "maxmemory", "1")
			if err := r.Client(t).Set(t.Context(), "a", "b", 0).Err(); err == nil {
				t.Fatal("Redis is not full")
			}
			l.flows(30)
			r.Do(t, "config", "set", "maxmemory", "0")
			l.flows(20)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := throwaway.Redis(t)
			s := newSite(t, 2, throwaway.MariaDB(t).Database(t), redisQueue(r))
			l := s.load()
			l.flows(20)
			fault(t, r, l)
			unrepeated(t, l.judge())
		})
	}
}

// TestDuplicateDeliveries puts events into the queue again, and again those
// that it has put there.
func TestDuplicateDeliveries(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	s := newSite(t, 2, throwaway.MariaDB(t).Database(t), redisQueue(r))
	c := r.Client(t)
	l := s.load()
	again := 0
	for range 5 {
		l.flows(15)
		streams, err := c.Keys(t.Context(), "skadi:events:{*}").Result()
		programs.Must(t, err)
		for _, stream := range streams {
			entries, err := c.XRevRangeN(t.Context(), stream, "+", "-", 50).Result()
			programs.Must(t, err)
			for _, e := range entries {
				programs.Must(t, c.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: e.Values}).Err())
				again++
			}
		}
	}
	if again == 0 {
		t.Fatal("no event was in the queue")
	}
	t.Logf("%d events were delivered again", again)
	unrepeated(t, l.judge())
}

// TestSentinelPromotes has the Sentinels make the replica the master, once
// since the master died and once since it was silent and then came back.
func TestSentinelPromotes(t *testing.T) {
	t.Parallel()
	r := throwaway.Sentinel(t)
	s := newSite(t, 2, throwaway.MariaDB(t).Database(t), quoted(r.Addrs())+", master: "+r.Master)
	l := s.load()
	l.flows(20)

	first, second := r.Servers[0], r.Servers[1]
	first.Kill()
	r.AwaitFailover(t, first)
	l.flows(20)
	first.Start()
	programs.Eventually(t, "the old master to be a replica in step", func(ctx context.Context) error {
		return inStep(ctx, r, first)
	})

	second.Stop()
	r.AwaitFailover(t, second)
	l.flows(20)
	second.Cont() // and is read-only before long
	l.flows(20)
	unrepeated(t, l.judge())
}

// inStep returns nil if the server is a replica, and the Sentinels know it.
func inStep(ctx context.Context, s *throwaway.SentinelSet, r *throwaway.RedisServer) error {
	c := redis.NewClient(&redis.Options{Addr: r.Addr})
	defer func() { _ = c.Close() }()
	info, err := c.InfoMap(ctx, "replication").Result()
	if err != nil {
		return err
	}
	if role := info["Replication"]["role"]; role != "slave" || info["Replication"]["master_link_status"] != "up" {
		return fmt.Errorf("it is a %s", role)
	}
	for _, addr := range s.Addrs() {
		sentinel := redis.NewSentinelClient(&redis.Options{Addr: addr})
		replicas, err := sentinel.Replicas(ctx, s.Master).Result()
		_ = sentinel.Close()
		if err != nil {
			return err
		}
		if len(replicas) != 1 || replicas[0]["flags"] != "slave" {
			return errors.New("a Sentinel does not count on it")
		}
	}
	return nil
}

// TestClusterNodeLost takes away a node of a Cluster, with whose slots nothing
// works until it is back.
func TestClusterNodeLost(t *testing.T) {
	t.Parallel()
	r := throwaway.Cluster(t)
	s := newSite(t, 2, throwaway.MariaDB(t).Database(t), quoted(r.Addrs())+", cluster: true")
	l := s.load()
	for _, lost := range r.Masters {
		l.flows(15)
		lost.Kill()
		l.flows(30)
		lost.Start()
		r.AwaitOK(t)
	}
	l.flows(15)
	unrepeated(t, l.judge())
}

// TestClusterReplicaTakesOver takes away a node of a Cluster that has a
// replica, and wants to see the replica used.
func TestClusterReplicaTakesOver(t *testing.T) {
	t.Parallel()
	r := throwaway.ReplicatedCluster(t)
	s := newSite(t, 2, throwaway.MariaDB(t).Database(t), quoted(r.Addrs())+", cluster: true")
	l := s.load()
	l.flows(30)
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: r.Addrs(), ClusterStateReloadInterval: time.Second})
	defer func() { _ = c.Close() }()
	stream, err := busiest(t.Context(), c)
	programs.Must(t, err)
	before, err := c.XInfoStream(t.Context(), stream).Result()
	programs.Must(t, err)
	r.Owner(t, stream).Kill()
	programs.Eventually(t, "new entries at the replica", func(ctx context.Context) error {
		now, err := c.XInfoStream(ctx, stream).Result()
		if err == nil && now.LastGeneratedID == before.LastGeneratedID {
			err = errors.New("there are none")
		}
		return err
	})
	l.flows(15)
	unrepeated(t, l.judge())
}

// busiest returns the stream with the most entries, which will have more soon.
func busiest(ctx context.Context, c *redis.ClusterClient) (name string, err error) {
	most := int64(0)
	for n := range events.DefaultPartitions {
		stream := fmt.Sprintf("skadi:events:{%d}", n)
		length, err := c.XLen(ctx, stream).Result()
		if err != nil {
			return "", err
		}
		if length > most {
			name, most = stream, length
		}
	}
	if name == "" {
		return "", errors.New("no stream has an entry")
	}
	return name, nil
}

func unrepeated(t *testing.T, o outcome) {
	t.Helper()
	if o.repeated > 0 || o.stale > 0 {
		t.Errorf("%d replies repeat others, and %d came after the final one", o.repeated, o.stale)
	}
}
