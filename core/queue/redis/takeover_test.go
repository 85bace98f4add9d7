package redis_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	client "github.com/redis/go-redis/v9"

	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// hold makes a consumer take messages and never finish them, as one that died.
func hold(t *testing.T, r *throwaway.RedisServer, group, consumer, stream string, count int) []string {
	t.Helper()
	got, err := r.Client(t).XReadGroup(t.Context(), &client.XReadGroupArgs{
		Group: group, Consumer: consumer, Streams: []string{stream, ">"}, Count: int64(count),
	}).Result()
	if err != nil || len(got) != 1 || len(got[0].Messages) != count {
		t.Fatalf("the dead consumer got %v, %v", got, err)
	}
	var ids []string
	for _, m := range got[0].Messages {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestPartitionOfADeadNodeIsTakenOver(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	consume(t, q, "replies", "one", newReader())() // the group exists, and nobody consumes
	publish(t, q, numbered("a", 5, 0)...)
	hold(t, r, "replies", "dead", "skadi:events:{0}", 3)
	h := newReader()
	consume(t, q, "replies", "one", h, 0)
	expect(t, h, "a.0", "a.1", "a.2", "a.3", "a.4")
	if n := q.Stats().Claimed; n != 3 {
		t.Errorf("%d are counted as taken over, want 3", n)
	}
}

func TestWhatALateNodeTookIsClaimed(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	h := newReader()
	stop := consume(t, q, "replies", "one", h, 1) // not partition 0
	publish(t, q, numbered("a", 2, 0)...)
	h0 := newReader()
	consume(t, q, "replies", "two", h0, 0)
	expect(t, h0, "a.0", "a.1")
	stop()
	// The old owner of partition 1 reads once more after the new one began.
	publish(t, q, message("late", 1))
	hold(t, r, "replies", "late node", "skadi:events:{1}", 1)
	h1 := newReader()
	consume(t, q, "replies", "two", h1, 1)
	drain(t, h1, "late")
	c := r.Client(t)
	c.XAdd(t.Context(), &client.XAddArgs{Stream: "skadi:events:{2}", Values: []string{"id", "x", "space", "default", "kind", "k", "data", "{}"}})
	hold(t, r, "replies", "late node", "skadi:events:{2}", 1)
	h2 := newReader()
	consume(t, q, "replies", "two", h2, 2)
	drain(t, h2, "x")
}

// What another consumer takes while this one serves the partition is claimed
// once it has been idle for long enough.
func TestIdleMessagesAreClaimed(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	cfg := quick(r.Addr)
	q := open(t, cfg)
	h := newReader()
	entered, release := make(chan struct{}, 10), make(chan struct{})
	h.handle = func(ctx context.Context, _ []queue.Message) error {
		entered <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}
	consume(t, q, "replies", "one", h, 0)
	// The consumer is busy, and enough waits that it does not read on.
	first := numbered("a", 1, 0)
	publish(t, q, first...)
	wait(t, entered, "the first message")
	c := r.Client(t)
	until(t, "an entry for the other consumer", func() error {
		c.XAdd(t.Context(), &client.XAddArgs{Stream: "skadi:events:{0}", Values: []string{"id", "stolen", "space", "default", "kind", "k", "data", "{}"}})
		got, err := c.XReadGroup(t.Context(), &client.XReadGroupArgs{Group: "replies", Consumer: "late", Streams: []string{"skadi:events:{0}", ">"}, Count: 1, Block: -1}).Result()
		if err != nil || len(got) == 0 {
			return errors.New("the consumer was quicker")
		}
		return nil
	})
	close(release)
	until(t, "the claim", func() error {
		if q.Stats().Claimed == 0 {
			return errors.New("nothing was claimed")
		}
		return nil
	})
	drain(t, h, "stolen")
}

func TestRemovedEntriesAreALoss(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	consume(t, q, "replies", "one", newReader())()
	publish(t, q, numbered("a", 3, 0)...)
	ids := hold(t, r, "replies", "dead", "skadi:events:{0}", 2)
	r.Do(t, "xdel", "skadi:events:{0}", ids[0])
	h := newReader()
	consume(t, q, "replies", "one", h, 0)
	expect(t, h, "a.1", "a.2") // Lost at the start stands for the other one
	until(t, "nothing to be pending", func() error {
		p, err := r.Client(t).XPending(t.Context(), "skadi:events:{0}", "replies").Result()
		if err == nil && p.Count > 0 {
			err = errors.New("there is something")
		}
		return err
	})
}

func TestForeignEntriesBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	h := newReader()
	consume(t, q, "replies", "one", h)
	r.Do(t, "xadd", "skadi:events:{0}", "*", "nonsense", "1")
	r.Do(t, "xadd", "skadi:events:{0}", "*", "id", "b", "kind", "k", "data", `{"conversation":7}`)
	publish(t, q, message("a", 0))
	expect(t, h, "a")
	dead, err := q.DeadLetters(t.Context(), "replies", 10)
	if err != nil || len(dead) != 2 {
		t.Fatalf("dead letters: %v, %v", dead, err)
	}
}

func TestDeadLettersAreBounded(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	h := newReader()
	h.handle = func(_ context.Context, batch []queue.Message) error {
		if batch[0].ID == "bad" {
			return errors.New(strings.Repeat("é", 3000))
		}
		return nil
	}
	consume(t, q, "replies", "one", h)
	publish(t, q, message("bad", 3), message("good", 3))
	expect(t, h, "good")
	dead, err := q.DeadLetters(t.Context(), "replies", 1)
	if err != nil || len(dead) != 1 {
		t.Fatalf("dead letters: %v, %v", dead, err)
	}
	if d := dead[0]; d.Message.ID != "bad" || d.Message.Partition != 3 || len(d.Reason) > 2010 || !utf8.ValidString(d.Reason) {
		t.Errorf("the dead letter is %+v", d)
	}
	if n := q.Stats().Dead; n != 1 {
		t.Errorf("%d are counted, want 1", n)
	}
}

func TestLongGoneConsumersAreForgotten(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	cfg := quick(r.Addr)
	cfg.ForgetAfter = time.Millisecond
	q := open(t, cfg)
	consume(t, q, "replies", "one", newReader())()
	publish(t, q, message("a", 0))
	hold(t, r, "replies", "owes something", "skadi:events:{0}", 1)
	names := func() (names []string) {
		for _, c := range r.Client(t).XInfoConsumers(t.Context(), "skadi:events:{0}", "replies").Val() {
			names = append(names, c.Name)
		}
		return names
	}
	r.Do(t, "xgroup", "createconsumer", "skadi:events:{0}", "replies", "long gone")
	until(t, "it to be idle", func() error {
		for _, c := range r.Client(t).XInfoConsumers(t.Context(), "skadi:events:{0}", "replies").Val() {
			if c.Name == "long gone" && c.Idle > cfg.ForgetAfter {
				return nil
			}
		}
		return errors.New("not yet")
	})
	h := newReader()
	consume(t, q, "replies", "two", h, 0)
	expect(t, h, "a") // claimed first, so that the other owes nothing either
	if got := names(); slices.Contains(got, "long gone") || !slices.Contains(got, "two") {
		t.Errorf("the consumers are %v", got)
	}
}
