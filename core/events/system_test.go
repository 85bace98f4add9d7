package events_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/queue"
)

// channel is an adapter that keeps what it is given.
type channel struct {
	caps chat.Capabilities

	mu   sync.Mutex
	sent []chat.Outbound
	at   []time.Time
	num  int
	fail func(m chat.Outbound) error
	// hangs tells for which messages Send waits for the end of its context.
	hangs func(m chat.Outbound) bool
	runs  func(ctx context.Context) error
}

func (c *channel) Run(ctx context.Context) error {
	if c.runs != nil {
		return c.runs(ctx)
	}
	<-ctx.Done()
	return nil
}

func (c *channel) Capabilities() chat.Capabilities { return c.caps }

func (c *channel) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	if c.hangs != nil && c.hangs(m) {
		<-ctx.Done()
		return chat.MessageRef{}, ctx.Err()
	}
	c.mu.Lock()
	fail := c.fail
	c.mu.Unlock()
	if fail != nil {
		if err := fail(m); err != nil {
			return chat.MessageRef{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, m)
	c.at = append(c.at, time.Now())
	if m.Edit != nil {
		return *m.Edit, nil
	}
	c.num++
	return chat.MessageRef{ID: fmt.Sprint("m", c.num)}, nil
}

func (c *channel) failing(fail func(m chat.Outbound) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = fail
}

func (c *channel) messages() []chat.Outbound {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

// looks is what was sent, in short: whether each was an edit, and its mark or
// text.
func (c *channel) looks() (all []string) {
	for _, m := range c.messages() {
		look := m.Text
		if m.Card != nil {
			look = string(m.Card.Mark)
		}
		if m.Edit != nil {
			look = m.Edit.ID + "=" + look
		}
		all = append(all, look)
	}
	return all
}

// editing is what a rich channel can do, plain what a poor one can.
var (
	editing = chat.Capabilities{Edit: true, LiveInterval: time.Second, MaxBytes: 4000}
	plain   = chat.Capabilities{MaxBytes: 2048, ReplyQuota: 5}
)

// system is a relay and a replier that work on a world.
type system struct {
	*world
	*channel
	accounts *events.Accounts
	replier  *events.Replier
	queue    *queue.Embedded
	stop     func()
}

// begin starts a system; call stop before the test ends.
func begin(t *testing.T, w *world, caps chat.Capabilities) *system {
	t.Helper()
	return beginWith(t, w, &channel{caps: caps})
}

func beginWith(t *testing.T, w *world, c *channel) *system {
	t.Helper()
	s := &system{world: w, channel: c, accounts: events.NewAccounts(nil, nil), queue: queue.NewEmbedded()}
	if err := s.accounts.Add(events.Account{Name: "work", Kind: "test", Adapter: c}); err != nil {
		t.Fatal(err)
	}
	relay := events.NewRelay(events.RelayConfig{Outbox: w, Queue: s.queue, Waker: w})
	replier := events.NewReplier(events.ReplierConfig{Store: w, Jobs: w, Senders: s.accounts, Queue: s.queue})
	s.replier = replier
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{s.accounts.Run, relay.Run, replier.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			cancel()
			wg.Wait()
			if err := s.queue.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	return s
}

func class(c chat.Class, after time.Duration) error {
	return &chat.SendError{Class: c, RetryAfter: after, Err: errors.New("the far side said no")}
}
