// Package queuetest is the conformance suite that every queue passes.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/queue"
)

// patience is how long the suite waits for what must happen. Nothing is
// measured by it.
const patience = 20 * time.Second

// Queue is everything that a queue does.
type Queue interface {
	Publish(ctx context.Context, messages []queue.Message) error
	queue.Consumer
	Subscribe(ctx context.Context, space string) (<-chan []queue.Message, error)
	DeadLetters(ctx context.Context, group string, max int) ([]queue.DeadLetter, error)
	Close() error
}

// Harness makes the queues that the suite tries.
type Harness struct {
	// Open returns an empty queue with a backoff of a few milliseconds. The
	// suite closes it.
	Open func(t *testing.T) Queue
	// Tries is after how many failures such a queue gives a message up.
	Tries int
	// Partitions is how many partitions it has.
	Partitions int
	// Backlog is how many messages without a reader make it drop some; 0 if
	// it never drops any.
	Backlog int
	// Tail is how many messages that a subscriber does not read end its
	// subscription.
	Tail int
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Harness){
		"RoundTrip":                  testRoundTrip,
		"Order":                      testOrder,
		"BeginsWithLost":             testBeginsWithLost,
		"EveryGroupGetsAll":          testEveryGroupGetsAll,
		"ConsumersShare":             testConsumersShare,
		"NamedPartitionsOnly":        testNamedPartitions,
		"PartitionChangesHands":      testPartitionChangesHands,
		"RetriesInOrder":             testRetriesInOrder,
		"DeadLetter":                 testDeadLetter,
		"PanicIsAnError":             testPanicIsAnError,
		"EndedConsumersBatchIsKept":  testEndedConsumer,
		"SubscribersSeeTheirSpace":   testSubscribe,
		"SlowSubscriberIsDropped":    testSlowSubscriber,
		"LossIsTold":                 testLossIsTold,
		"PublishOfNothing":           testPublishOfNothing,
		"NothingWorksOnceItIsClosed": testClosed,
		"ManyPublishers":             testManyPublishers,
		"SelectiveHandler":           testSelective,
	} {
		t.Run(name, func(t *testing.T) { test(t, h) })
	}
}

// message makes a message of a partition.
func message(id string, partition int) queue.Message {
	return queue.Message{
		ID: id, Space: "default", Kind: "EventJobStatus", Partition: partition,
		Data: []byte(`{"id":"` + id + `"}`),
	}
}

// reader is a Handler that passes on what it gets.
type reader struct {
	got    chan queue.Message
	lost   chan struct{}
	refuse func(m queue.Message) error
}

func newReader() *reader {
	return &reader{got: make(chan queue.Message, 100_000), lost: make(chan struct{}, 100)}
}

func (r *reader) Handle(_ context.Context, batch []queue.Message) error {
	for _, m := range batch {
		if r.refuse != nil {
			if err := r.refuse(m); err != nil {
				return err
			}
		}
		r.got <- m
	}
	return nil
}

func (r *reader) Lost(context.Context) { signal(r.lost) }

// signal sends if there is room: Lost may come any number of times.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// consume runs a consumer of the partitions, of all if none is named, until the returned function is called, which waits
// for its end. It returns once the group exists.
func consume(t *testing.T, q Queue, group, name string, r *reader, partitions ...int) (stop func()) {
	t.Helper()
	return consumeWith(t, q, group, name, r, r.lost, partitions...)
}

// consumeWith is consume with any Handler, which says on lost that it is Lost.
func consumeWith(t *testing.T, q Queue, group, name string, r queue.Handler, lost <-chan struct{}, partitions ...int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Consume(ctx, group, name, partitions, r) }()
	wait(t, lost, "Lost at the start")
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := wait(t, done, "the end of Consume"); err != nil {
				t.Errorf("Consume returned %v, want nil", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func wait[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

func open(t *testing.T, h Harness) Queue {
	t.Helper()
	q := h.Open(t)
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return q
}

func publish(t *testing.T, q Queue, messages ...queue.Message) {
	t.Helper()
	if err := q.Publish(t.Context(), messages); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

func testRoundTrip(t *testing.T, h Harness) {
	q := open(t, h)
	r := newReader()
	consume(t, q, "replies", "one", r)
	sent := []queue.Message{
		{
			ID: "a.1", Space: "default", Kind: "EventMessage", Partition: 0,
			Conversation: &queue.Conversation{Account: "work", Channel: "C1", Key: "C1/\x00\"täg\" \u202e"},
			Data: []byte(`{"text":"` + strings.Repeat("é", 60_000) + `",` +
				`"conversation":{"account":"work","channel":"C1","key":"C1/\u0000\"täg\" \u202e"}}`),
		},
		{ID: "b.2", Space: "other", Kind: "EventJobStatus", Partition: 0, Data: []byte(`{}`)},
	}
	publish(t, q, sent...)
	for _, want := range sent {
		got := wait(t, r.got, want.ID)
		if got.ID != want.ID || got.Space != want.Space || got.Kind != want.Kind || got.Partition != want.Partition {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if string(got.Data) != string(want.Data) {
			t.Errorf("%s: the data changed on its way", want.ID)
		}
		if (got.Conversation == nil) != (want.Conversation == nil) ||
			got.Conversation != nil && *got.Conversation != *want.Conversation {
			t.Errorf("%s: conversation %+v, want %+v", want.ID, got.Conversation, want.Conversation)
		}
	}
}

func testOrder(t *testing.T, h Harness) {
	q := open(t, h)
	r := newReader()
	consume(t, q, "replies", "one", r)
	const each = 300
	for i := range each {
		for p := range h.Partitions {
			publish(t, q, message(fmt.Sprintf("%d.%d", p, i), p))
		}
	}
	next := make([]int, h.Partitions)
	for range each * h.Partitions {
		m := wait(t, r.got, "a message")
		if want := fmt.Sprintf("%d.%d", m.Partition, next[m.Partition]); m.ID != want {
			t.Fatalf("got %s, want %s next", m.ID, want)
		}
		next[m.Partition]++
	}
}

func testBeginsWithLost(t *testing.T, h Harness) {
	q := open(t, h)
	var mu sync.Mutex
	var seen []string
	r := newReader()
	lost := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- q.Consume(ctx, "replies", "one", nil, handlerFuncs{
			handle: func(batch []queue.Message) error {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, batch[0].ID)
				r.got <- batch[0]
				return nil
			},
			lost: func() {
				mu.Lock()
				defer mu.Unlock()
				if !slices.Contains(seen, "lost") {
					seen = append(seen, "lost")
				}
				signal(lost)
			},
		})
	}()
	wait(t, lost, "Lost")
	publish(t, q, message("a.1", 0))
	wait(t, r.got, "a.1")
	cancel()
	if err := wait(t, done, "the end of Consume"); err != nil {
		t.Errorf("Consume returned %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"lost", "a.1"}; !slices.Equal(seen, want) {
		t.Errorf("the handler saw %v, want %v", seen, want)
	}
}

func testEveryGroupGetsAll(t *testing.T, h Harness) {
	q := open(t, h)
	a, b := newReader(), newReader()
	consume(t, q, "replies", "one", a)
	consume(t, q, "mine", "one", b)
	publish(t, q, message("a.1", 0), message("a.2", 0))
	for _, r := range []*reader{a, b} {
		for _, want := range []string{"a.1", "a.2"} {
			if got := wait(t, r.got, want); got.ID != want {
				t.Errorf("got %s, want %s", got.ID, want)
			}
		}
	}
}

func testConsumersShare(t *testing.T, h Harness) {
	q := open(t, h)
	var mu sync.Mutex
	busy := make(map[int]bool)
	all := newReader()
	check := handlerFuncs{
		lost: func() { signal(all.lost) },
		handle: func(batch []queue.Message) error {
			p := batch[0].Partition
			mu.Lock()
			clash := busy[p]
			busy[p] = true
			mu.Unlock()
			if clash {
				t.Errorf("two consumers handle partition %d at once", p)
			}
			for _, m := range batch {
				all.got <- m
			}
			mu.Lock()
			busy[p] = false
			mu.Unlock()
			return nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if err := q.Consume(ctx, "replies", fmt.Sprint("c", i), nil, check); err != nil {
				t.Errorf("Consume: %v", err)
			}
		})
		wait(t, all.lost, "Lost")
	}
	defer wg.Wait()
	defer cancel()
	const each = 500
	for i := range each {
		for p := range h.Partitions {
			publish(t, q, message(fmt.Sprintf("%d.%d", p, i), p))
		}
	}
	seen := make(map[string]bool)
	for len(seen) < each*h.Partitions {
		seen[wait(t, all.got, "a message").ID] = true
	}
}

func testPublishOfNothing(t *testing.T, h Harness) {
	q := open(t, h)
	if err := q.Publish(t.Context(), nil); err != nil {
		t.Errorf("Publish of nothing: %v", err)
	}
}

func testClosed(t *testing.T, h Harness) {
	q := h.Open(t)
	r := newReader()
	done := make(chan error, 1)
	go func() { done <- q.Consume(t.Context(), "replies", "one", nil, r) }()
	wait(t, r.lost, "Lost")
	tail, err := q.Subscribe(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := q.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	if err := wait(t, done, "the end of Consume"); err != nil {
		t.Errorf("Consume returned %v", err)
	}
	if _, open := receive(t, tail); open {
		t.Error("a subscriber got something after Close")
	}
	if err := q.Publish(t.Context(), []queue.Message{message("a.1", 0)}); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Publish: %v, want ErrClosed", err)
	}
	if err := q.Consume(t.Context(), "replies", "one", nil, r); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Consume: %v, want ErrClosed", err)
	}
	if _, err := q.Subscribe(t.Context(), "default"); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Subscribe: %v, want ErrClosed", err)
	}
}

func testManyPublishers(t *testing.T, h Harness) {
	q := open(t, h)
	r := newReader()
	consume(t, q, "replies", "one", r)
	const publishers, each = 8, 200
	var wg sync.WaitGroup
	for i := range publishers {
		wg.Go(func() {
			for k := range each {
				if err := q.Publish(t.Context(), []queue.Message{message(fmt.Sprintf("%d.%d", i, k), i%h.Partitions)}); err != nil {
					t.Errorf("Publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for range publishers * each {
		wait(t, r.got, "a message")
	}
}
