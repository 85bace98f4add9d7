package queue_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/queue/queuetest"
)

var _ job.Waker = (*queue.Waker)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEmbedded(t *testing.T) {
	t.Parallel()
	const tries, backlog, tail = 4, 20_000, 500
	queuetest.Run(t, queuetest.Harness{
		Open: func(*testing.T) queuetest.Queue {
			return queue.NewEmbeddedWith(queue.EmbeddedConfig{
				Tries: tries, Backlog: backlog, Tail: tail,
				MinBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond,
			})
		},
		Tries: tries, Partitions: 4, Backlog: backlog, Tail: tail,
	})
}

func TestEmbeddedCountsItsBacklog(t *testing.T) {
	t.Parallel()
	q := queue.NewEmbedded()
	defer func() { _ = q.Close() }()
	if n := q.Backlog("replies"); n != 0 {
		t.Errorf("the backlog of no group is %d", n)
	}
}

func TestPartitionOf(t *testing.T) {
	t.Parallel()
	seen := make(map[int]int)
	for i := range 1000 {
		p := queue.PartitionOf(fmt.Sprint("conversation", i), 16)
		if p < 0 || p > 15 {
			t.Fatalf("partition %d of 16", p)
		}
		seen[p]++
	}
	for p := range 16 {
		if seen[p] < 20 {
			t.Errorf("partition %d has %d of 1000 keys", p, seen[p])
		}
	}
	for _, n := range []int{-1, 0, 1} {
		if p := queue.PartitionOf("x", n); p != 0 {
			t.Errorf("PartitionOf(x, %d) = %d", n, p)
		}
	}
}

func TestWaker(t *testing.T) {
	t.Parallel()
	w := queue.NewWaker()
	a, stopA := w.Watch("x", "y")
	b, stopB := w.Watch("x")
	defer stopB()

	w.Wake("z")
	mustBeEmpty(t, a)
	w.Wake("x", "y", "x")
	<-a
	<-b
	mustBeEmpty(t, a) // signals coalesce
	mustBeEmpty(t, b)
	w.Wake("y")
	<-a
	mustBeEmpty(t, b)

	stopA()
	stopA()
	w.Wake("x", "y")
	mustBeEmpty(t, a)
	<-b
}

func mustBeEmpty(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		t.Fatal("there is a signal")
	default:
	}
}

func TestWakerUnderManyWaiters(t *testing.T) {
	t.Parallel()
	w := queue.NewWaker()
	var ready, done sync.WaitGroup
	for i := range 10_000 {
		ready.Add(1)
		done.Go(func() {
			c, stop := w.Watch(fmt.Sprint("agent", i))
			defer stop()
			ready.Done()
			<-c
		})
	}
	ready.Wait()
	for i := range 10_000 {
		w.Wake(fmt.Sprint("agent", i))
	}
	done.Wait()
}

func BenchmarkWake(b *testing.B) {
	w := queue.NewWaker()
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprint("agent", i)
		_, stop := w.Watch(keys[i])
		defer stop()
	}
	i := 0
	for b.Loop() {
		w.Wake(keys[i%len(keys)])
		i++
	}
}

func BenchmarkPublish(b *testing.B) {
	q := queue.NewEmbeddedWith(queue.EmbeddedConfig{Backlog: 1 << 30})
	defer func() { _ = q.Close() }()
	batch := make([]queue.Message, 1000)
	for b.Loop() {
		if err := q.Publish(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
