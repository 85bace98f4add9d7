package redis_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/redis/go-redis/v9"

	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/queue/redis"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// picky is a reader that has no use for what is named dull.
type picky struct{ *reader }

func (picky) Wants(m queue.Message) bool { return !strings.HasPrefix(m.ID, "dull") }

// consumePicky is consume with a picky reader.
func consumePicky(t *testing.T, q *redis.Queue, r *reader) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Consume(ctx, "replies", "one", nil, picky{r}) }()
	t.Cleanup(func() {
		cancel()
		if err := wait(t, done, "the end of Consume"); err != nil {
			t.Errorf("Consume returned %v, want nil", err)
		}
	})
	wait(t, r.lost, "Lost at the start")
}

// groupAt returns what XINFO says of the group replies of partition 0.
func groupAt(t *testing.T, c *client.Client) (g client.XInfoGroup, last string) {
	t.Helper()
	groups, err := c.XInfoGroups(t.Context(), "skadi:events:{0}").Result()
	if err != nil || len(groups) != 1 {
		t.Fatalf("XINFO GROUPS: %v, %v", groups, err)
	}
	newest, err := c.XRevRangeN(t.Context(), "skadi:events:{0}", "+", "-", 1).Result()
	if err != nil || len(newest) != 1 {
		t.Fatalf("XREVRANGE: %v, %v", newest, err)
	}
	return groups[0], newest[0].ID
}

func TestWhatNobodyWantsIsPassedOver(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	cfg := quick(r.Addr)
	cfg.Poll = time.Hour // so that the test says when it is read
	q := open(t, cfg)
	c := r.Client(t)
	h := newReader()
	consumePicky(t, q, h)
	publish(t, q, message("a.1", 0))
	expect(t, h, "a.1")
	before, _ := groupAt(t, c)
	for range 10 {
		publish(t, q, numbered("dull", 50, 0)...)
	}
	if g, _ := groupAt(t, c); g.LastDeliveredID != before.LastDeliveredID {
		t.Errorf("what nobody wants was read: the group was at %s and is at %s", before.LastDeliveredID, g.LastDeliveredID)
	}
	publish(t, q, message("a.2", 0))
	expect(t, h, "a.2")
	until(t, "the group to be at the end with nothing left", func() error {
		if g, last := groupAt(t, c); g.LastDeliveredID != last || g.Pending != 0 || g.Lag > 0 {
			return fmt.Errorf("the stream ends at %s, and the group is %+v", last, g)
		}
		return nil
	})
}

// The group is emptied, and made anew, while something is passed over.
func TestPassingOverInAnEmptiedRedis(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	h := newReader()
	consumePicky(t, q, h)
	for i := range 20 {
		id := fmt.Sprintf("a.%d", i)
		publish(t, q, message(id, 0))
		until(t, id+", or that it may be lost", func() error {
			for {
				select {
				case m := <-h.got:
					if m.ID == id {
						return nil
					}
				case <-h.lost:
					return nil
				default:
					return fmt.Errorf("neither came")
				}
			}
		})
		publish(t, q, numbered("dull", 3, 0)...)
		if i%5 == 4 {
			r.Do(t, "flushall")
		}
	}
	// Once it has settled, everything comes again.
	until(t, "a message", func() error {
		id := fmt.Sprintf("z.%d", time.Now().UnixNano())
		publish(t, q, message("dull", 0), message(id, 0))
		select {
		case m := <-h.got:
			if m.ID != id {
				return fmt.Errorf("got %s", m.ID)
			}
			return nil
		case <-time.After(100 * time.Millisecond):
			return fmt.Errorf("nothing came")
		}
	})
}

// Two nodes publish to the same streams at a time; one of them reads.
func TestPublishersBesideEachOther(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	cfg := quick(r.Addr)
	cfg.Node, cfg.Tail = "node-2", 100_000
	other := open(t, cfg)
	h := newReader()
	consumePicky(t, q, h)
	tail, err := other.Subscribe(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 300
	nodes := map[string]*redis.Queue{"x": q, "y": other}
	var wg sync.WaitGroup
	for name, node := range nodes {
		wg.Go(func() {
			for i := range rounds {
				var batch []queue.Message
				for p := range partitions {
					if (i+p)%3 > 0 {
						batch = append(batch, message(fmt.Sprintf("dull.%s.%d", name, i), p))
					} else {
						batch = append(batch, message(fmt.Sprintf("%s.%d", name, i), p))
					}
				}
				if err := node.Publish(t.Context(), batch); err != nil {
					t.Errorf("Publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	type origin struct {
		name      string
		partition int
	}
	place := func(m queue.Message) (o origin, i int) {
		parts := strings.Split(strings.TrimPrefix(m.ID, "dull."), ".")
		if _, err := fmt.Sscan(parts[1], &i); err != nil {
			t.Fatalf("message %s: %v", m.ID, err)
		}
		return origin{parts[0], m.Partition}, i
	}
	// Each wanted one is handled, in order, and none twice.
	next := map[origin]int{}
	for seen := 0; seen < 2*partitions*rounds/3; {
		m := wait(t, h.got, "a wanted message")
		if !(picky{}).Wants(m) {
			continue
		}
		o, i := place(m)
		for (next[o]+m.Partition)%3 > 0 {
			next[o]++
		}
		if i != next[o] {
			t.Fatalf("of %v %d was handled, want %d", o, i, next[o])
		}
		next[o]++
		seen++
	}
	// A live reader sees every one, in order, and none twice.
	told := map[origin]int{}
	for seen := 0; seen < 2*partitions*rounds; {
		for _, m := range wait(t, tail, "messages") {
			o, i := place(m)
			if i != told[o] {
				t.Fatalf("of %v %d was told, want %d", o, i, told[o])
			}
			told[o]++
			seen++
		}
	}
}
