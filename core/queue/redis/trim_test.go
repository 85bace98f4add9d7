package redis_test

import (
	"context"
	"fmt"
	"testing"

	client "github.com/redis/go-redis/v9"

	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// publishMany publishes n messages to partition 0.
func publishMany(t *testing.T, publish func(...queue.Message), from, n int) {
	t.Helper()
	for n > 0 {
		batch := make([]queue.Message, 0, 500)
		for len(batch) < cap(batch) && n > 0 {
			batch = append(batch, message(fmt.Sprint(from), 0))
			from++
			n--
		}
		publish(batch...)
	}
}

func TestTrimmingKeepsWhatAGroupNeeds(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	c := r.Client(t)
	h := newReader()
	consume(t, q, "replies", "one", h)
	const stream, n = "skadi:events:{0}", 3_000
	// A service of the operator's has its own group and takes its time.
	if err := c.XGroupCreate(t.Context(), stream, "service", "$").Err(); err != nil {
		t.Fatal(err)
	}
	publishMany(t, func(m ...queue.Message) { publish(t, q, m...) }, 0, n)
	for i := range n {
		expect(t, h, fmt.Sprint(i))
	}
	read := func(count int64) []client.XMessage {
		got, err := c.XReadGroup(t.Context(), &client.XReadGroupArgs{
			Group: "service", Consumer: "x", Streams: []string{stream, ">"}, Count: count, Block: -1,
		}).Result()
		if err != nil {
			t.Fatal(err)
		}
		return got[0].Messages
	}
	first := read(1_000)
	var ids []string
	for _, m := range first[:500] {
		ids = append(ids, m.ID)
	}
	if err := c.XAck(t.Context(), stream, "service", ids...).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "what both groups acknowledged to be removed", func() error {
		if length := c.XLen(t.Context(), stream).Val(); length > n-400 {
			return fmt.Errorf("%d are left", length)
		}
		return nil
	})
	if length := c.XLen(t.Context(), stream).Val(); length < n-500 {
		t.Fatalf("%d are left: something unread was removed", length)
	}
	for i, m := range read(n) {
		if want := fmt.Sprint(1_000 + i); m.Values["id"] != want {
			t.Fatalf("the service got %v, want %s", m.Values["id"], want)
		}
	}
	if s := q.Stats(); s.DroppedUnread != 0 || s.Trimmed == 0 {
		t.Errorf("the counts are %+v", s)
	}
}

func TestTrimmingSaysWhatItDropped(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	cfg := quick(r.Addr)
	cfg.MaxLen = 2_000
	q := open(t, cfg)
	h := newReader()
	entered, release := make(chan struct{}, 1000), make(chan struct{})
	h.handle = func(ctx context.Context, _ []queue.Message) error {
		entered <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}
	consume(t, q, "replies", "one", h)
	publish(t, q, message("held", 0))
	wait(t, entered, "the first message")
	const n = 6_000
	publishMany(t, func(m ...queue.Message) { publish(t, q, m...) }, 0, n)
	c := r.Client(t)
	until(t, "the stream to be cut", func() error {
		if length := c.XLen(t.Context(), "skadi:events:{0}").Val(); length > int64(cfg.MaxLen) {
			return fmt.Errorf("it has %d", length)
		}
		return nil
	})
	until(t, "the dropped ones to be counted", func() error {
		if s := q.Stats(); s.DroppedUnread < n-int64(cfg.MaxLen) {
			return fmt.Errorf("%d are", s.DroppedUnread)
		}
		return nil
	})
	forget(h)
	close(release)
	wait(t, h.lost, "Lost")
	publish(t, q, message("after", 0))
	drain(t, h, "after")
	if left := c.HLen(t.Context(), "skadi:lost:{0}").Val(); left != 0 {
		t.Errorf("%d marks are left", left)
	}
}

func TestTrimmingWithoutGroups(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	publishMany(t, func(m ...queue.Message) { publish(t, q, m...) }, 0, 4_000)
	until(t, "the stream to be cut", func() error {
		if length := r.Client(t).XLen(t.Context(), "skadi:events:{0}").Val(); length > 1_500 {
			return fmt.Errorf("it has %d", length)
		}
		return nil
	})
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	if b, err := q.Backlog(t.Context()); err != nil || len(b) != 0 {
		t.Fatalf("without groups: %v, %v", b, err)
	}
	h := newReader()
	consume(t, q, "replies", "one", h)
	if err := r.Client(t).XGroupCreateMkStream(t.Context(), "skadi:events:{1}", "service", "$").Err(); err != nil {
		t.Fatal(err)
	}
	publish(t, q, numbered("a", 7, 1)...)
	drain(t, h, "a.6")
	until(t, "the group to be done", func() error {
		b, err := q.Backlog(t.Context())
		if err == nil && (b["replies"] != 0 || b["service"] != 7) {
			err = fmt.Errorf("it is %v", b)
		}
		return err
	})
}
