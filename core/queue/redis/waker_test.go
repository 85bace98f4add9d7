package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/queue/redis"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// twoNodes opens a queue for each of two nodes, with their wakers, and waits
// until they hear each other.
func twoNodes(t *testing.T, cfg redis.Config) (wakers [2]*redis.Waker, queues [2]*redis.Queue) {
	t.Helper()
	for i := range wakers {
		cfg.Node = fmt.Sprint("node ", i)
		queues[i] = open(t, cfg)
		wakers[i] = queues[i].Waker(queue.NewWaker())
	}
	for i := range wakers {
		woken, stop := wakers[i].Watch("hello")
		until(t, "the nodes to hear each other", func() error {
			wakers[1-i].Wake("hello")
			select {
			case <-woken:
				return nil
			case <-time.After(20 * time.Millisecond):
				return errors.New("not yet")
			}
		})
		stop()
	}
	return wakers, queues
}

func TestWakerWakesOtherNodes(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	w, q := twoNodes(t, quick(r.Addr))
	key := job.WakeAgent("default", "web\n-1 \"é\"")
	here, stopHere := w[0].Watch(key)
	defer stopHere()
	there, stopThere := w[1].Watch(key)
	defer stopThere()
	other, stopOther := w[1].Watch("other")
	defer stopOther()

	const wakes = 200
	var took []time.Duration
	for range wakes {
		from := time.Now()
		w[0].Wake(key)
		select {
		case <-here:
		default:
			t.Fatal("those who wait here were not woken at once")
		}
		wait(t, there, "the wake at the other node")
		took = append(took, time.Since(from))
	}
	select {
	case <-other:
		t.Error("another key was woken")
	default:
	}
	slices.Sort(took)
	t.Logf("from node to node: median %v, 99 %% %v", took[len(took)/2], took[len(took)*99/100])
	if s := q[1].Stats(); s.WakesReceived < wakes {
		t.Errorf("%d wakes were received, want %d", s.WakesReceived, wakes)
	}
}

func TestWakerInACluster(t *testing.T) {
	t.Parallel()
	c := throwaway.Cluster(t)
	cfg := quick(c.Addrs()...)
	cfg.Cluster = true
	w, _ := twoNodes(t, cfg)
	woken, stop := w[0].Watch("key")
	defer stop()
	for range 50 {
		w[1].Wake("key")
		wait(t, woken, "the wake")
	}
}

func TestWakerWakesManyKeysAtOnce(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	w, q := twoNodes(t, quick(r.Addr))
	const n = 5_000
	sent := q[0].Stats().WakesSent
	keys := make([]string, n)
	woken := make([]<-chan struct{}, n)
	for i := range keys {
		keys[i] = fmt.Sprint("agent", i)
		c, stop := w[1].Watch(keys[i])
		defer stop()
		woken[i] = c
	}
	for _, k := range keys {
		w[0].Wake(k)
	}
	for _, c := range woken {
		wait(t, c, "every wake")
	}
	if m := q[0].Stats().WakesSent - sent; m > n/2 {
		t.Errorf("%d wakes took %d messages", n, m)
	}
}

func TestWakerComesBack(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	w, _ := twoNodes(t, quick(r.Addr))
	woken, stop := w[1].Watch("key")
	defer stop()
	r.Kill()
	for range 100_000 {
		w[0].Wake("key", fmt.Sprint(time.Now().UnixNano())) // neither blocks nor grows
	}
	r.Start()
	until(t, "wakes to arrive again", func() error {
		w[0].Wake("key")
		select {
		case <-woken:
			return nil
		case <-time.After(20 * time.Millisecond):
			return errors.New("not yet")
		}
	})
}

// What one node publishes reaches the readers of another without a poll.
func TestNewsReachOtherNodes(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	cfg := quick(r.Addr)
	cfg.Poll = time.Hour
	_, q := twoNodes(t, cfg)
	h := newReader()
	consume(t, q[1], "replies", "one", h)
	live, err := q[1].Subscribe(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		id := fmt.Sprint("a.", i)
		publish(t, q[0], message(id, i%partitions))
		expect(t, h, id)
		if got := wait(t, live, id); got[0].ID != id {
			t.Fatalf("the live reader got %s, want %s", got[0].ID, id)
		}
	}
}
