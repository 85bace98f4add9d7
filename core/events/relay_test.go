package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
)

// publisher keeps what is published.
type publisher struct {
	got  []queue.Message
	fail atomic.Bool
}

func (p *publisher) Publish(_ context.Context, messages []queue.Message) error {
	if p.fail.Load() {
		return errors.New("the queue is away")
	}
	p.got = append(p.got, messages...)
	return nil
}

func TestRelayKeepsOrderAndSaysEverything(t *testing.T) {
	t.Parallel()
	w, p := newWorld(), &publisher{}
	j := w.create("C1", "deploy")
	w.say("C1", "text", "hello")
	w.move(j.ID, job.Expired, job.AgentOffline, nil)
	api := w.create("", "of the API")
	relay := events.NewRelay(events.RelayConfig{Outbox: w, Queue: p, Waker: w, Batch: 3})
	for _, want := range []int{3, 1, 0} {
		n, err := relay.Pass(t.Context())
		if err != nil || n != want {
			t.Fatalf("Pass: %d, %v", n, err)
		}
	}
	if len(p.got) != 4 {
		t.Fatalf("%d messages", len(p.got))
	}
	first, text, last, other := p.got[0], p.got[1], p.got[2], p.got[3]
	if first.Partition != text.Partition || first.Partition != last.Partition {
		t.Error("a conversation is spread over partitions")
	}
	if other.Conversation != nil || last.Conversation == nil || *last.Conversation != (queue.Conversation{Account: "work", Channel: "C1", Key: "C1"}) {
		t.Errorf("conversations: %+v and %+v", last.Conversation, other.Conversation)
	}
	var e events.Payload
	if err := json.Unmarshal(last.Data, &e); err != nil {
		t.Fatal(err)
	}
	if e.V != 1 || e.ID != last.ID || e.Kind != "EventJobStatus" || e.Job != j.ID || e.Code != j.Code() || e.Agent != "web-1" ||
		e.Status != "expired" || e.Reason != "agent_offline" || e.Version != 2 || e.At.IsZero() || *e.Conversation != *last.Conversation {
		t.Errorf("the event reads %s", last.Data)
	}
	e = events.Payload{}
	if err := json.Unmarshal(text.Data, &e); err != nil || e.Text != "hello" || e.Job != "" || e.Kind != "EventMessage" {
		t.Errorf("the text reads %s (%v)", text.Data, err)
	}
	if other.ID != api.ID+".1" {
		t.Errorf("the last message is %s", other.ID)
	}
}

func TestRelayOutlivesItsQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := newWorld(), &publisher{}
		p.fail.Store(true)
		relay := events.NewRelay(events.RelayConfig{Outbox: w, Queue: p, Waker: w})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- relay.Run(ctx) }()
		for i := range 5000 {
			w.create("", fmt.Sprint(i))
		}
		after(10 * time.Minute)
		if n := w.count("Unpublished"); n > 100 {
			t.Errorf("the outbox was read %d times in ten minutes of an outage", n)
		}
		p.fail.Store(false)
		after(15 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(p.got) != 5000 {
			t.Errorf("%d events came through", len(p.got))
		}
		if n := w.count("MarkPublished"); n != 5 {
			t.Errorf("they were marked in %d writes, want 5", n)
		}
	})
}

func TestRelayIsIdleWithoutEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := newWorld(), &publisher{}
		relay := events.NewRelay(events.RelayConfig{Outbox: w, Queue: p, Waker: w})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- relay.Run(ctx) }()
		after(time.Minute)
		if n := w.count("Unpublished"); n > 61 {
			t.Errorf("the outbox was read %d times in an idle minute", n)
		}
		began := time.Now()
		w.create("", "deploy")
		synctest.Wait()
		if len(p.got) != 1 || time.Since(began) > 0 {
			t.Errorf("%d events after %s", len(p.got), time.Since(began))
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
