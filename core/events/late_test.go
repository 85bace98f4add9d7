package events_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// wordy is a channel of plain text.
var wordy = chat.Capabilities{MaxBytes: 200}

// renewing is the reference of one message in a conversation that takes n
// messages until then, and as many again after the next message.
func renewing(message string, n int, until time.Time) *chat.ConversationRef {
	return &chat.ConversationRef{
		Account: "work", Key: "C1", Data: []byte(`{"message":"` + message + `"}`),
		Quota: &chat.Quota{Messages: n, Until: until, Renews: true},
	}
}

// answers has somebody write another message, which gets this answer.
func (w *world) answers(message string, n int, until time.Time, text string) {
	w.add(job.Event{Subject: message, Conversation: renewing(message, n, until), Text: text})
}

// seen is what was sent, each as the message it answers and what it shows.
func (c *channel) seen() (all []string) {
	for i, look := range c.looks() {
		data := string(c.messages()[i].To.Data)
		message := strings.TrimSuffix(strings.TrimPrefix(data, `{"message":"`), `"}`)
		all = append(all, message+" "+look)
	}
	return all
}

func wantSeen(t *testing.T, s *system, want ...string) {
	t.Helper()
	if got := s.seen(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestWhatComesTooLateWaitsForTheNextMessage(t *testing.T) {
	t.Parallel()
	in(t, wordy, func(t *testing.T, s *system) {
		j := s.createIn(renewing("first", 5, time.Now().Add(time.Minute)), "deploy")
		after(6 * time.Second)
		s.move(j.ID, job.Sent, "", nil)
		after(2 * time.Minute)
		s.succeed(j.ID, "done")
		after(72 * time.Hour)
		wantSeen(t, s, "first waiting")
		if s.open() != 1 || len(s.given()) != 0 {
			t.Fatalf("%d events are open, given up: %+v", s.open(), s.given())
		}
		s.answers("second", 5, time.Now().Add(time.Minute), "hello")
		after(time.Second)
		wantSeen(t, s, "first waiting", "second succeeded", "second hello")
		if s.open() != 0 || len(s.given()) != 0 {
			t.Errorf("%d events are open, given up: %+v", s.open(), s.given())
		}
	})
}

func TestStatusesThatComeTooLateAreDropped(t *testing.T) {
	t.Parallel()
	in(t, wordy, func(t *testing.T, s *system) {
		j := s.createIn(renewing("first", 5, time.Now().Add(time.Second)), "deploy")
		after(6 * time.Second)
		s.move(j.ID, job.Sent, "", nil)
		after(time.Minute)
		s.answers("second", 5, time.Now().Add(time.Minute), "hello")
		after(time.Second)
		wantSeen(t, s, "second hello")
		if s.open() != 0 || len(s.given()) != 0 {
			t.Errorf("%d events are open, given up: %+v", s.open(), s.given())
		}
	})
}

// What has waited takes no message from what answers the new one, and all of
// it comes with further messages.
func TestWhatWaitedFitsIntoTheQuota(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 4, 5, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			in(t, wordy, func(t *testing.T, s *system) {
				const waiting = 7
				var old []job.Job
				for i := range waiting {
					old = append(old, s.createIn(renewing(fmt.Sprint("old", i), n, time.Now().Add(time.Second)), "deploy"))
				}
				after(2 * time.Second)
				for _, j := range old {
					s.succeed(j.ID, "done")
				}
				after(time.Hour)
				wantSeen(t, s)
				for next := range waiting {
					message := fmt.Sprint("new", next)
					ref := renewing(message, n, time.Now().Add(time.Minute))
					j := s.createIn(ref, "deploy")
					after(6 * time.Second)
					s.text(j.ID, strings.Repeat("word ", 400))
					s.move(j.ID, job.Sent, "", nil)
					after(6 * time.Second)
					s.succeed(j.ID, strings.Repeat("line\n", 400))
					after(time.Second)
					used := 0
					for _, m := range s.messages() {
						if string(m.To.Data) == string(ref.Data) {
							used++
						}
					}
					if used > n {
						t.Errorf("%d messages answer %s", used, message)
					}
				}
				if s.open() != 0 {
					t.Errorf("%d events are open", s.open())
				}
				results := 0
				for _, look := range s.looks() {
					if look == "succeeded" {
						results++
					}
				}
				if results != 2*waiting {
					t.Errorf("%d results were told, want %d: %q", results, 2*waiting, s.seen())
				}
			})
		})
	}
}

// The far side knows better than the reference when it takes nothing more.
func TestAFarSideThatTakesNothingMore(t *testing.T) {
	t.Parallel()
	in(t, wordy, func(t *testing.T, s *system) {
		j := s.createIn(renewing("first", 5, time.Now().Add(time.Hour)), "deploy")
		tries := 0
		s.failing(func(m chat.Outbound) error {
			if strings.Contains(string(m.To.Data), "first") {
				tries++
				return class(chat.Shut, 0)
			}
			return nil
		})
		s.succeed(j.ID, "done")
		after(10 * time.Minute)
		if tries != 1 {
			t.Errorf("it was tried %d times", tries)
		}
		s.answers("second", 5, time.Now().Add(time.Minute), "hello")
		after(time.Second)
		wantSeen(t, s, "second succeeded", "second hello")
		if len(s.given()) != 0 {
			t.Errorf("given up: %+v", s.given())
		}
	})
}

func TestShutWithoutAQuotaThatRenewsIsPermanent(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]*chat.ConversationRef{
		"no quota": conversation("C1"), "a quota that ends": limited("C1", 5, time.Now().Add(100*365*24*time.Hour)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in(t, wordy, func(t *testing.T, s *system) {
				s.failing(func(chat.Outbound) error { return class(chat.Shut, 0) })
				s.createIn(to, "deploy")
				after(6 * time.Second)
				if len(s.given()) != 1 || s.open() != 0 {
					t.Errorf("given up: %+v", s.given())
				}
			})
		})
	}
}

// Nothing of another conversation is a reason to say what waits in this one.
func TestWhatWaitsStaysInItsConversation(t *testing.T) {
	t.Parallel()
	in(t, wordy, func(t *testing.T, s *system) {
		j := s.createIn(renewing("first", 5, time.Now().Add(time.Second)), "deploy")
		after(2 * time.Second)
		s.succeed(j.ID, "done")
		after(time.Minute)
		other := renewing("other", 5, time.Now().Add(time.Hour))
		other.Key = "C2"
		s.add(job.Event{Subject: "m", Conversation: other, Text: "hello"})
		s.say("C1", "n", "from an agent, to nobody's message")
		after(time.Minute)
		wantLooks(t, s, "hello", "from an agent, to nobody's message")
		if s.open() != 1 {
			t.Errorf("%d events are open", s.open())
		}
	})
}

func TestWhatWaitsOutlastsARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		first := begin(t, w, wordy)
		j := w.createIn(renewing("first", 5, time.Now().Add(time.Second)), "deploy")
		after(2 * time.Second)
		w.succeed(j.ID, "done")
		after(time.Minute)
		first.stop()
		second := begin(t, w, wordy)
		defer second.stop()
		after(time.Hour)
		wantSeen(t, second)
		w.answers("second", 3, time.Now().Add(time.Minute), "hello")
		after(time.Second)
		wantSeen(t, second, "second succeeded", "second hello")
	})
}

func TestNotEverythingWaits(t *testing.T) {
	t.Parallel()
	in(t, wordy, func(t *testing.T, s *system) {
		for i := range 105 {
			s.add(job.Event{Subject: fmt.Sprint("m", i), Conversation: renewing(fmt.Sprint(i), 5, time.Now().Add(-time.Second)), Text: "late"})
		}
		after(time.Minute)
		dead := s.given()
		if s.open() != 100 || len(dead) != 5 || dead[0].Event.Subject != "m0" || !strings.Contains(dead[0].Reason, "no more than 100 messages wait") {
			t.Errorf("%d are open, given up: %+v", s.open(), dead)
		}
	})
}

// A failing database is asked again, and nothing is told twice for it.
func TestWhatWaitsAndAFailingDatabase(t *testing.T) {
	t.Parallel()
	in(t, wordy, func(t *testing.T, s *system) {
		j := s.createIn(renewing("first", 5, time.Now().Add(time.Second)), "deploy")
		after(2 * time.Second)
		s.succeed(j.ID, "done")
		after(time.Minute)
		broken := true
		s.world.mu.Lock()
		s.world.fail = func(method string) error {
			if broken && method == "Record" {
				return errors.New("away")
			}
			return nil
		}
		s.world.mu.Unlock()
		s.answers("second", 5, time.Now().Add(time.Hour), "hello")
		after(10 * time.Second)
		s.world.mu.Lock()
		broken = false
		s.world.mu.Unlock()
		after(10 * time.Second)
		wantSeen(t, s, "second succeeded", "second hello")
	})
}

func TestALongResultInSeveralMessages(t *testing.T) {
	t.Parallel()
	long := strings.TrimSpace(strings.Repeat("line 世界\n", 40)) // 520 bytes
	for name, c := range map[string]struct {
		caps chat.Capabilities
		n    int
		want int
	}{
		"all of it fits":      {wordy, 8, 3},
		"too few":             {wordy, 5, 1},
		"files":               {chat.Capabilities{MaxBytes: 200, Files: true}, 8, 1},
		"buttons":             {chat.Capabilities{MaxBytes: 200, Buttons: true}, 8, 1},
		"no limit":            {chat.Capabilities{}, 8, 1},
		"one message is much": {chat.Capabilities{MaxBytes: 2000}, 8, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in(t, c.caps, func(t *testing.T, s *system) {
				j := s.createIn(renewing("first", c.n, time.Now().Add(time.Hour)), "deploy")
				s.succeed(j.ID, long)
				after(time.Second)
				sent := s.messages()
				if len(sent) != c.want {
					t.Fatalf("%d messages were sent, want %d", len(sent), c.want)
				}
				var all []string
				for _, m := range sent {
					if c.caps.MaxBytes > 0 && len(m.Text) > c.caps.MaxBytes {
						t.Errorf("a message has %d bytes", len(m.Text))
					}
					all = append(all, m.Text)
				}
				whole := strings.Contains(strings.Join(all, "\n"), long)
				if !whole && !strings.Contains(all[0], "`output ") && len(sent[0].Files) == 0 {
					t.Errorf("it does not say where the rest is: %q", all)
				}
				if c.want > 1 && !whole {
					t.Errorf("it is not all there: %q", all)
				}
			})
		})
	}
}

// The far side counts since the newest message, so where several jobs run for one
// person, the ends of all of them come before what is on the way.
func TestStatusesGiveWayToTheEndsOfAllJobs(t *testing.T) {
	t.Parallel()
	in(t, wordy, func(t *testing.T, s *system) {
		var all []job.Job
		for i := range 5 {
			all = append(all, s.createIn(renewing(fmt.Sprint(i), 5, time.Now().Add(time.Hour+time.Duration(i)*time.Second)), "deploy"))
		}
		after(6 * time.Second)
		for _, j := range all {
			s.move(j.ID, job.Sent, "", nil)
		}
		after(6 * time.Second)
		wantLooks(t, s)
		for _, j := range all {
			s.succeed(j.ID, "done")
		}
		after(time.Second)
		wantLooks(t, s, "succeeded", "succeeded", "succeeded", "succeeded", "succeeded")
		// The next has room for both again.
		j := s.createIn(renewing("next", 5, time.Now().Add(2*time.Hour)), "deploy")
		after(6 * time.Second)
		s.succeed(j.ID, "done")
		after(time.Second)
		if got := s.looks()[5:]; strings.Join(got, " ") != "waiting succeeded" {
			t.Errorf("then came %q", got)
		}
	})
}
