package events

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
)

// lease is the context of a lease that runs out while the process is stopped:
// its Err says so before any timer has run.
type lease struct {
	context.Context //nolint:containedctx // it is one itself
	over            atomic.Bool
}

func (l *lease) Err() error {
	if l.over.Load() {
		return context.Canceled
	}
	return l.Context.Err()
}

// stage is a store with one open text, and everything else that a Replier
// needs to tell it.
type stage struct {
	Store
	*queue.Waker
	caps chat.Capabilities
	// reading is called when the open events are read, sent when one is sent.
	reading func()
	sent    func()
}

func (s *stage) OpenConversations(context.Context, []int, int) ([]Conversation, error) {
	return []Conversation{{Account: "work", Key: "C1"}}, nil
}

func (s *stage) Open(context.Context, Conversation, int) ([]job.Event, error) {
	s.reading()
	to := &chat.ConversationRef{Account: "work", Key: "C1"}
	return []job.Event{{Subject: "t", Kind: job.EventMessage, Text: "hello", Conversation: to}}, nil
}

func (s *stage) Shown(context.Context, []int, int) ([]ShownJob, error) { return nil, nil }

func (s *stage) Record(context.Context, Delivery) error { return ErrNotHolder }

func (s *stage) Job(context.Context, string, string) (job.Job, error) {
	return job.Job{}, job.ErrNotFound
}

func (s *stage) JobByCode(context.Context, string, string) (job.Job, error) {
	return job.Job{}, job.ErrNotFound
}

func (s *stage) History(context.Context, string, string) ([]job.Event, error) { return nil, nil }

func (s *stage) LiveOutput(context.Context, string, string, int64, int) ([]job.OutputChunk, error) {
	return nil, nil
}

func (s *stage) Consume(ctx context.Context, _, _ string, _ []int, _ queue.Handler) error {
	<-ctx.Done()
	return nil
}

func (s *stage) Adapter(string) (chat.Adapter, bool) { return s, true }
func (s *stage) Fault(string, error)                 {}
func (s *stage) Recovered(string)                    {}

func (s *stage) Run(context.Context) error { return nil }

func (s *stage) Capabilities() chat.Capabilities { return s.caps }

func (s *stage) Send(context.Context, chat.Outbound) (chat.MessageRef, error) {
	s.sent()
	return chat.MessageRef{ID: "m1"}, nil
}

// serving runs the term of a lease until it is over, and reports how often a
// message was sent. stopped says that the process is stopped for longer than
// the lease just before it would send.
func serving(t *testing.T, stopped bool) (sent int) {
	t.Helper()
	l := &lease{Context: t.Context()}
	s := &stage{Waker: queue.NewWaker()}
	s.sent = func() { sent++ }
	s.reading = func() { l.over.Store(stopped) }
	r := NewReplier(ReplierConfig{Store: s, Jobs: s, Senders: s, Queue: s})
	ctx, stop := context.WithCancel(t.Context())
	scanned := make(chan struct{})
	go func() { defer close(scanned); r.scan(ctx) }()
	r.serveWhile(l, nil, Guard{Lease: "replies", Epoch: 1})
	stop()
	<-scanned
	r.workers.Wait()
	if n := len(r.Serving()); n != 0 {
		t.Errorf("it still serves %d partitions", n)
	}
	if len(r.kept) != 0 && stopped {
		t.Errorf("it remembers %v", r.kept)
	}
	return sent
}

// The term ends by what the replier finds out itself: that the lease is over by
// the clock, or another's by the database.
func TestATermEndsByItself(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stopped bool
		want    int
	}{
		"it ran out before a message was sent": {true, 0},
		"the database refused the record":      {false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				if got := serving(t, c.stopped); got != c.want {
					t.Errorf("%d messages were sent, want %d", got, c.want)
				}
				if d := time.Since(began); d > time.Second {
					t.Errorf("it took %s to end", d)
				}
			})
		})
	}
}
