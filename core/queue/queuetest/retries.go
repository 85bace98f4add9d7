package queuetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/letserverrun/skadi/core/queue"
)

func testRetriesInOrder(t *testing.T, h Harness) {
	if h.Partitions < 2 {
		t.Skip("it has one partition")
	}
	q := open(t, h)
	r := newReader()
	failures := 0
	r.refuse = func(m queue.Message) error {
		if m.ID == "bad.1" && failures < h.Tries-1 {
			failures++
			return errors.New("not now")
		}
		return nil
	}
	consume(t, q, "replies", "one", r)
	publish(t, q, message("bad.1", 0), message("after.1", 0), message("other.1", 1))
	at := map[string]int{}
	for i := range 3 {
		at[wait(t, r.got, "three messages").ID] = i
	}
	if len(at) != 3 || at["bad.1"] > at["after.1"] {
		t.Errorf("they came in the order %v", at)
	}
	if dead, err := q.DeadLetters(t.Context(), "replies", 1); err != nil || len(dead) != 0 {
		t.Errorf("given up: %v, %v", dead, err)
	}
}

func testDeadLetter(t *testing.T, h Harness) {
	q := open(t, h)
	r := newReader()
	var mu sync.Mutex
	tries := 0
	r.refuse = func(m queue.Message) error {
		if m.ID != "bad.1" {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		tries++
		return errors.New("cannot be read")
	}
	consume(t, q, "replies", "one", r)
	publish(t, q, message("bad.1", 0), message("after.1", 0))
	if got := wait(t, r.got, "after.1"); got.ID != "after.1" {
		t.Fatalf("got %s, want after.1", got.ID)
	}
	mu.Lock()
	if tries != h.Tries {
		t.Errorf("it was tried %d times, want %d", tries, h.Tries)
	}
	mu.Unlock()
	dead, err := q.DeadLetters(t.Context(), "replies", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(dead) != 1 || dead[0].Message.ID != "bad.1" || dead[0].Group != "replies" ||
		!strings.Contains(dead[0].Reason, "cannot be read") || dead[0].At.IsZero() {
		t.Errorf("dead letters: %+v", dead)
	}
	if none, err := q.DeadLetters(t.Context(), "nobody", 10); err != nil || len(none) != 0 {
		t.Errorf("dead letters of an unknown group: %v, %v", none, err)
	}
}

func testPanicIsAnError(t *testing.T, h Harness) {
	q := open(t, h)
	r := newReader()
	panicked := false
	r.refuse = func(queue.Message) error {
		if !panicked {
			panicked = true
			panic("a bug")
		}
		return nil
	}
	consume(t, q, "replies", "one", r)
	publish(t, q, message("a.1", 0))
	wait(t, r.got, "a.1 after the panic")
}

func testEndedConsumer(t *testing.T, h Harness) {
	q := open(t, h)
	handling := make(chan struct{}, 1)
	lost := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- q.Consume(ctx, "replies", "one", nil, handlerFuncs{
			lost: func() { signal(lost) },
			handleCtx: func(ctx context.Context, _ []queue.Message) error {
				handling <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			},
		})
	}()
	wait(t, lost, "Lost")
	publish(t, q, message("a.1", 0), message("a.2", 0))
	wait(t, handling, "the first consumer")
	cancel()
	if err := wait(t, done, "its end"); err != nil {
		t.Errorf("Consume returned %v", err)
	}
	publish(t, q, message("a.3", 0)) // nobody consumes, but the group exists
	r := newReader()
	consume(t, q, "replies", "two", r)
	for _, want := range []string{"a.1", "a.2", "a.3"} {
		if got := wait(t, r.got, want); got.ID != want {
			t.Fatalf("got %s, want %s", got.ID, want)
		}
	}
}
