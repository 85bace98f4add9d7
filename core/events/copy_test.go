package events_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// caller is told statuses as they are.
type caller struct {
	channel
	mu   sync.Mutex
	told []string
	fail func() error
}

func (c *caller) Tell(_ context.Context, e job.Event, j job.Job) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		if err := c.fail(); err != nil {
			return err
		}
	}
	c.told = append(c.told, j.ID+" "+string(e.Status)+" "+e.ID())
	return nil
}

func (c *caller) failing(f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = f
}

func (c *caller) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.told)
}

// copyOf adds a copy of a job's newest status, told in another place.
func (w *world) copyOf(j job.Job, name string, to chat.ConversationRef) {
	w.mu.Lock()
	w.rows = append(w.rows, &row{event: job.Event{
		Subject: j.ID + "." + name, Space: j.Space, Kind: job.EventCopy, At: time.Now(), Conversation: &to,
		Agent: j.Agent, Num: j.Num, Status: j.Status, Reason: j.Reason,
	}})
	w.mu.Unlock()
	w.Wake(job.WakeEvents)
}

// with a caller as the account callback.
func inCalling(t *testing.T, f func(t *testing.T, s *system, c *caller)) {
	t.Helper()
	in(t, editing, func(t *testing.T, s *system) {
		c := &caller{}
		if err := s.accounts.Add(events.Account{Name: job.CallbackAccount, Kind: "callback", Adapter: c}); err != nil {
			t.Fatal(err)
		}
		f(t, s, c)
	})
}

func callbackOf(j job.Job) chat.ConversationRef {
	return chat.ConversationRef{Account: job.CallbackAccount, Key: j.ID}
}

func wantHeard(t *testing.T, c *caller, want ...string) {
	t.Helper()
	if got := c.heard(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestCopies(t *testing.T) {
	t.Parallel()
	t.Run("a job without a conversation", func(t *testing.T) {
		t.Parallel()
		inCalling(t, func(t *testing.T, s *system, c *caller) {
			j := s.create("", "deploy")
			s.copyOf(s.succeed(j.ID, "done"), "callback", callbackOf(j))
			after(time.Second)
			wantHeard(t, c, "job-1 succeeded job-1.callback.0")
			wantLooks(t, s)
		})
	})
	t.Run("beside a conversation, which goes on though it fails", func(t *testing.T) {
		t.Parallel()
		inCalling(t, func(t *testing.T, s *system, c *caller) {
			c.failing(func() error { return class(chat.Temporary, time.Minute) })
			j := s.create("a", "deploy")
			s.copyOf(s.succeed(j.ID, "done"), "callback", callbackOf(j))
			after(30 * time.Second)
			wantLooks(t, s, "succeeded")
			wantHeard(t, c)
			c.failing(nil)
			after(29 * time.Second)
			wantHeard(t, c) // not before the far side asked to come again
			after(2 * time.Minute)
			wantHeard(t, c, "job-1 succeeded job-1.callback.0")
		})
	})
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		inCalling(t, func(t *testing.T, s *system, c *caller) {
			c.failing(func() error { return class(chat.Gone, 0) })
			j := s.create("", "deploy")
			s.copyOf(s.succeed(j.ID, "done"), "callback", callbackOf(j))
			after(time.Minute)
			if dead := s.given(); len(dead) != 1 || dead[0].Event.JobID() != j.ID {
				t.Errorf("given up: %+v", dead)
			}
			c.failing(nil)
			k := s.create("", "deploy")
			s.copyOf(s.succeed(k.ID, "done"), "callback", callbackOf(k))
			after(time.Minute)
			wantHeard(t, c, "job-2 succeeded job-2.callback.0")
		})
	})
	t.Run("given up after a day or so", func(t *testing.T) {
		t.Parallel()
		inCalling(t, func(t *testing.T, s *system, c *caller) {
			c.failing(func() error { return class(chat.Temporary, 0) })
			j := s.create("", "deploy")
			s.copyOf(s.succeed(j.ID, "done"), "callback", callbackOf(j))
			after(12 * time.Hour)
			if len(s.given()) != 0 {
				t.Fatal("given up within half a day")
			}
			after(24 * time.Hour)
			if len(s.given()) != 1 {
				t.Errorf("given up: %+v", s.given())
			}
		})
	})
	t.Run("a job that is no more", func(t *testing.T) {
		t.Parallel()
		inCalling(t, func(t *testing.T, s *system, c *caller) {
			s.copyOf(job.Job{ID: "job-9", Space: job.DefaultSpace, Status: job.Succeeded}, "callback", callbackOf(job.Job{ID: "job-9"}))
			after(time.Second)
			wantHeard(t, c)
			if len(s.given()) != 1 {
				t.Errorf("given up: %+v", s.given())
			}
		})
	})
	t.Run("in a conversation, each status is a message", func(t *testing.T) {
		t.Parallel()
		in(t, editing, func(t *testing.T, s *system) {
			to := *conversation("commit")
			j := s.create("a", "deploy")
			s.copyOf(j, "1.1", to)
			after(time.Second)
			s.copyOf(s.move(j.ID, job.Sent, "", nil), "2.1", to)
			after(time.Second)
			s.copyOf(s.succeed(j.ID, "done"), "3.1", to)
			after(time.Second)
			var looks []string
			for _, m := range s.messages() {
				if m.To.Key != "commit" {
					continue
				}
				if m.Edit != nil || m.Card == nil {
					t.Errorf("%+v", m)
				}
				looks = append(looks, string(m.Card.Mark)+" "+m.ID)
			}
			if want := []string{"waiting job-1.1.1.0", "running job-1.2.1.0", "succeeded job-1.3.1.0"}; !slices.Equal(looks, want) {
				t.Errorf("told %q, want %q", looks, want)
			}
		})
	})
}
