package queuetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/queue"
)

// handlerFuncs is a Handler of functions; nil ones do nothing.
type handlerFuncs struct {
	handle    func(batch []queue.Message) error
	handleCtx func(ctx context.Context, batch []queue.Message) error
	lost      func()
}

func (h handlerFuncs) Handle(ctx context.Context, batch []queue.Message) error {
	switch {
	case h.handleCtx != nil:
		return h.handleCtx(ctx, batch)
	case h.handle != nil:
		return h.handle(batch)
	}
	return nil
}

func (h handlerFuncs) Lost(context.Context) {
	if h.lost != nil {
		h.lost()
	}
}

func testSubscribe(t *testing.T, h Harness) {
	q := open(t, h)
	publish(t, q, message("before.1", 0))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tail, err := q.Subscribe(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	other := message("other.1", 0)
	other.Space = "other"
	publish(t, q, other, message("a.1", 0), message("a.2", 0))
	var got []string
	for len(got) < 2 {
		got = append(got, ids(wait(t, tail, "a.1 and a.2"))...)
	}
	if want := []string{"a.1", "a.2"}; !slices.Equal(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	cancel()
	if batch, open := receive(t, tail); open {
		t.Errorf("it got %s after its context ended", ids(batch))
	}
	publish(t, q, message("a.3", 0))
}

// receive is a receive that does not wait for ever.
func receive(t *testing.T, c <-chan []queue.Message) (batch []queue.Message, open bool) {
	t.Helper()
	select {
	case batch, open = <-c:
	case <-time.After(patience):
		t.Fatal("the channel was never closed")
	}
	return batch, open
}

func ids(batch []queue.Message) (ids []string) {
	for _, m := range batch {
		ids = append(ids, m.ID)
	}
	return ids
}

func testSlowSubscriber(t *testing.T, h Harness) {
	q := open(t, h)
	slow, err := q.Subscribe(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	// What a quick one has, the slow one has been offered too.
	quick, err := q.Subscribe(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i <= h.Tail; {
		batch := make([]queue.Message, 0, 50)
		for ; i <= h.Tail && len(batch) < cap(batch); i++ {
			batch = append(batch, message(fmt.Sprintf("a.%d", i), 0))
		}
		publish(t, q, batch...)
		for n := 0; n < len(batch); {
			n += len(wait(t, quick, "what was published"))
		}
	}
	n, late := 0, time.After(patience)
	for open := true; open; {
		var batch []queue.Message
		select {
		case batch, open = <-slow:
			n += len(batch)
		case <-late:
			t.Fatal("it was never dropped")
		}
	}
	if n > h.Tail {
		t.Errorf("it got %d messages before it was dropped, more than the %d it may lag", n, h.Tail)
	}
	next, err := q.Subscribe(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	publish(t, q, message("b.1", 0))
	if got := ids(wait(t, next, "b.1")); !slices.Equal(got, []string{"b.1"}) {
		t.Errorf("a new subscriber got %s, want b.1", got)
	}
}

func testLossIsTold(t *testing.T, h Harness) {
	if h.Backlog == 0 {
		t.Skip("it drops nothing")
	}
	q := open(t, h)
	r := newReader()
	hold := make(chan struct{})
	handling := make(chan struct{}, 1)
	first := true
	r.refuse = func(queue.Message) error {
		if first {
			first = false
			handling <- struct{}{}
			<-hold
		}
		return nil
	}
	consume(t, q, "replies", "one", r)
	publish(t, q, message("first.1", 0))
	wait(t, handling, "the first message")
	for i := range h.Backlog + 1 {
		publish(t, q, message(fmt.Sprintf("a.%d", i), i%h.Partitions))
	}
	close(hold)
	wait(t, r.lost, "Lost after the backlog overflowed")
	publish(t, q, message("after.1", 0))
	for last := ""; last != "after.1"; {
		last = wait(t, r.got, "after.1").ID
	}
}
