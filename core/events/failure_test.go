package events_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

func TestFailures(t *testing.T) {
	t.Parallel()
	t.Run("temporary", func(t *testing.T) {
		t.Parallel()
		in(t, editing, func(t *testing.T, s *system) {
			s.failing(func(m chat.Outbound) error {
				if m.To.Key == "bad" {
					return class(chat.Temporary, 0)
				}
				return nil
			})
			s.say("bad", "a", "one")
			s.say("bad", "b", "two")
			after(time.Hour)
			s.say("good", "c", "other")
			after(time.Second)
			wantLooks(t, s, "other") // others go on
			s.failing(nil)
			after(20 * time.Minute)
			wantLooks(t, s, "other", "one", "two")
			if len(s.given()) != 0 {
				t.Errorf("given up: %v", s.given())
			}
		})
	})
	t.Run("temporary for days", func(t *testing.T) {
		t.Parallel()
		in(t, editing, func(t *testing.T, s *system) {
			s.failing(func(chat.Outbound) error { return class(chat.Temporary, 0) })
			s.say("bad", "a", "one")
			after(12 * time.Hour)
			if len(s.given()) != 0 {
				t.Fatal("given up within half a day")
			}
			after(24 * time.Hour)
			if len(s.given()) != 1 || s.given()[0].Event.Subject != "a" {
				t.Errorf("given up: %+v", s.given())
			}
		})
	})
	t.Run("unclassified", func(t *testing.T) {
		t.Parallel()
		in(t, editing, func(t *testing.T, s *system) {
			var tries atomic.Int32
			s.failing(func(m chat.Outbound) error {
				if m.Text != "one" {
					return nil
				}
				if tries.Add(1)%2 == 0 {
					panic("a bug of the adapter")
				}
				return errors.New("who knows")
			})
			s.say("bad", "a", "one")
			s.say("bad", "b", "two")
			after(10 * time.Minute)
			wantLooks(t, s, "two")
			if tries.Load() != 6 || len(s.given()) != 1 {
				t.Errorf("%d tries, given up: %+v", tries.Load(), s.given())
			}
		})
	})
	t.Run("rate limited", func(t *testing.T) {
		t.Parallel()
		in(t, editing, func(t *testing.T, s *system) {
			began := time.Now()
			s.failing(func(chat.Outbound) error {
				if time.Since(began) < 10*time.Hour {
					return class(chat.RateLimited, 30*time.Second)
				}
				return nil
			})
			s.say("C1", "a", "one")
			after(25 * time.Second)
			s.say("C1", "b", "two") // a new event is no reason to try
			after(time.Second)
			if n := s.count("Park"); n != 1 {
				t.Errorf("parked %d times within RetryAfter", n)
			}
			after(11 * time.Hour)
			wantLooks(t, s, "one", "two") // it does not count as a try
		})
	})
	t.Run("auth", func(t *testing.T) {
		t.Parallel()
		in(t, editing, func(t *testing.T, s *system) {
			var tries atomic.Int32
			s.failing(func(chat.Outbound) error { tries.Add(1); return class(chat.Auth, 0) })
			s.say("C1", "a", "one")
			after(time.Second)
			s.say("C2", "b", "two")
			after(time.Second)
			if tries.Load() != 1 {
				t.Errorf("%d tries with credentials that do not work", tries.Load())
			}
			h := s.accounts.Health()[0]
			if h.State != events.Unhealthy || !strings.Contains(h.Err, "auth") {
				t.Errorf("health: %+v", h)
			}
			after(24 * time.Hour)
			if tries.Load() > 400 {
				t.Errorf("%d tries in a day", tries.Load())
			}
			s.failing(nil)
			after(20 * time.Minute)
			if got := s.looks(); len(got) != 2 || len(s.given()) != 0 {
				t.Errorf("told %q, given up %v", got, s.given())
			}
			if h := s.accounts.Health()[0]; h.State != events.Healthy || h.Err != "" {
				t.Errorf("health: %+v", h)
			}
		})
	})
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		in(t, editing, func(t *testing.T, s *system) {
			s.failing(func(m chat.Outbound) error {
				if m.To.Key == "bad" {
					return class(chat.Gone, 0)
				}
				return nil
			})
			j := s.create("bad", "deploy")
			s.say("bad", "a", "one")
			s.succeed(j.ID, "")
			s.say("good", "b", "two")
			after(time.Second)
			wantLooks(t, s, "two")
			if len(s.given()) != 3 || s.open() != 0 {
				t.Errorf("given up: %+v, open: %d", s.given(), s.open())
			}
		})
	})
	t.Run("permanent", func(t *testing.T) {
		t.Parallel()
		in(t, editing, func(t *testing.T, s *system) {
			s.failing(func(m chat.Outbound) error {
				if m.Text == "one" {
					return class(chat.Permanent, 0)
				}
				return nil
			})
			s.say("C1", "a", "one")
			s.say("C1", "b", "two")
			after(time.Second)
			wantLooks(t, s, "two")
			if len(s.given()) != 1 {
				t.Errorf("given up: %+v", s.given())
			}
		})
	})
	t.Run("temporary for as long as the far side says", func(t *testing.T) {
		t.Parallel()
		in(t, editing, func(t *testing.T, s *system) {
			var tries atomic.Int32
			s.failing(func(chat.Outbound) error {
				if tries.Add(1) == 1 {
					return class(chat.Temporary, 90*time.Second)
				}
				return nil
			})
			s.say("C1", "a", "one")
			after(89 * time.Second)
			if tries.Load() != 1 {
				t.Errorf("%d tries", tries.Load())
			}
			after(2 * time.Second)
			wantLooks(t, s, "one")
		})
	})
}

func TestAMessageThatWasDeletedIsSentAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []chat.Class{chat.Permanent, chat.Gone} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			in(t, editing, func(t *testing.T, s *system) {
				deleted := "m1"
				j := s.create("C1", "deploy")
				after(time.Second)
				s.failing(func(m chat.Outbound) error {
					if m.Edit != nil && m.Edit.ID == deleted {
						return class(c, 0)
					}
					return nil
				})
				s.move(j.ID, job.Sent, "", nil)
				after(time.Second)
				s.output(j.ID, "live\n")
				after(time.Second)
				s.say("C1", "a", "hello")
				after(time.Second)
				s.succeed(j.ID, "done")
				after(time.Second)
				wantLooks(t, s, "waiting", "running", "m2=running", "hello", "m2=succeeded")
				if s.ref(j.ID).ID != "m2" || len(s.given()) != 0 {
					t.Errorf("the job is shown by %+v, given up: %+v", s.ref(j.ID), s.given())
				}

				deleted = "m4"
				long := s.create("C1", "deploy")
				after(31 * time.Second)
				s.succeed(long.ID, "done")
				after(time.Second)
				all := s.messages()
				if last := all[len(all)-1]; last.Edit != nil || last.Mention == nil || last.Card == nil {
					t.Errorf("the result of a long job came as %+v", last)
				}
			})
		})
	}
}

func TestConversationsThatHangHoldUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := beginWith(t, newWorld(), &channel{caps: editing, hangs: func(m chat.Outbound) bool { return m.To.Key != "good" }})
		defer s.stop()
		for i := range 600 {
			for k := range 50 {
				if i%60 == 0 {
					s.say(fmt.Sprint("bad", k), fmt.Sprintf("bad%d.%d", k, i), "bad")
				}
			}
			s.say("good", fmt.Sprint("good", i), "good")
			after(time.Second)
			if got := len(s.messages()); got != i+1 {
				t.Fatalf("%d of %d others were told", got, i+1)
			}
		}
		if n := s.count("Park"); n < 50*8 {
			t.Errorf("conversations that hang were tried %d times", n)
		}
		if len(s.given()) != 0 {
			t.Errorf("given up: %d", len(s.given()))
		}
	})
}

func TestADatabaseThatFails(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Unpublished", "MarkPublished", "OpenConversations", "Open", "Record", "Job", "MessageRef", "Shown"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			in(t, editing, func(t *testing.T, s *system) {
				s.breaking(func(m string) error {
					if m == method {
						return job.ErrUnavailable
					}
					return nil
				})
				j := s.create("C1", "deploy")
				s.succeed(j.ID, "done")
				s.say("C1", "text", "one")
				after(time.Minute)
				s.breaking(nil)
				after(time.Minute)
				wantLooks(t, s, "succeeded", "one") // each once
				if len(s.given()) != 0 || s.open() != 0 {
					t.Errorf("given up: %v, open: %d", s.given(), s.open())
				}
			})
		})
	}
}
