package events_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// rich is a channel that can do all that a quota forbids.
var rich = chat.Capabilities{Edit: true, Buttons: true, LiveInterval: time.Second, MaxBytes: 100}

// limited is a conversation of a rich channel that takes n messages until then.
func limited(key string, n int, until time.Time) *chat.ConversationRef {
	c := conversation(key)
	c.Quota = &chat.Quota{Messages: n, Until: until}
	return c
}

// text adds a text about a job.
func (w *world) text(id, text string) {
	w.mu.Lock()
	j := w.jobs[id]
	j.Version++
	e := job.Event{Subject: id, Version: j.Version, Conversation: j.Conversation, Num: j.Num, Agent: j.Agent, Text: text}
	w.mu.Unlock()
	w.add(e)
}

func TestAQuotaLeavesNoEdits(t *testing.T) {
	t.Parallel()
	in(t, rich, func(t *testing.T, s *system) {
		j := s.createIn(limited("C1", 5, time.Time{}), "deploy")
		other := s.create("C1", "deploy")
		after(6 * time.Second)
		s.move(j.ID, job.Sent, "", nil)
		s.move(other.ID, job.Sent, "", nil)
		after(6 * time.Second)
		for range 5 {
			s.output(j.ID, "live\n")
			after(2 * time.Second)
		}
		s.move(j.ID, job.Succeeded, "", &job.Result{Streamed: true})
		after(time.Minute)
		wantLooks(t, s, "waiting", "waiting", "m1=running", "succeeded")
		last := s.messages()[3]
		if last.Card.Output != strings.Repeat("live\n", 5) {
			t.Errorf("the result shows %q", last.Card.Output)
		}
	})
}

func TestAQuotaIsKept(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 200)
	for n := range 6 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			in(t, rich, func(t *testing.T, s *system) {
				j := s.createIn(limited("C1", n, time.Time{}), "deploy")
				after(6 * time.Second)
				s.text(j.ID, "approved")
				after(6 * time.Second)
				s.move(j.ID, job.Sent, "", nil)
				s.text(j.ID, long)
				after(6 * time.Second)
				s.succeed(j.ID, "done")
				after(time.Minute)
				s.text(j.ID, "late")
				s.text(j.ID, "late")
				s.add(job.Event{Subject: "m-1", Conversation: limited("C1", n, time.Time{}), Text: long})
				s.add(job.Event{Subject: "m-2", Conversation: limited("C1", n, time.Time{}), Num: j.Num, Output: 1})
				after(time.Minute)
				of := make(map[string]int)
				for _, m := range s.messages() {
					subject, _, _ := strings.Cut(m.ID, ".")
					of[subject]++
				}
				for subject, got := range of {
					if got > n {
						t.Errorf("%d messages for %s", got, subject)
					}
				}
				if of["m-1"] != n || of["m-2"] != min(n, 1) {
					t.Errorf("answers came in %d and %d messages", of["m-1"], of["m-2"])
				}
				if n > 0 && !slices.Contains(s.looks(), "succeeded") {
					t.Errorf("the result is not among %q", s.looks())
				}
				if s.open() != 0 {
					t.Errorf("%d events are open", s.open())
				}
				for _, d := range s.given() {
					if !strings.Contains(d.Reason, fmt.Sprintf("no more than %d messages", n)) {
						t.Errorf("%s was given up: %s", d.Event.ID(), d.Reason)
					}
				}
				if n < 5 && len(s.given()) == 0 {
					t.Error("nothing was given up")
				}
			})
		})
	}
}

func TestNothingIsSentAfterAQuotasEnd(t *testing.T) {
	t.Parallel()
	in(t, rich, func(t *testing.T, s *system) {
		j := s.createIn(limited("C1", 5, time.Now().Add(time.Minute)), "deploy")
		after(6 * time.Second)
		s.move(j.ID, job.Sent, "", nil)
		after(54 * time.Second)
		s.succeed(j.ID, "done")
		s.say("C1", "a", "to another message there")
		after(time.Minute)
		wantLooks(t, s, "waiting", "to another message there")
		dead := s.given()
		if len(dead) != 1 || !dead[0].Event.Status.Final() || !strings.Contains(dead[0].Reason, "could be answered until 2000-01-01T00:01:00Z only") {
			t.Errorf("given up: %+v", dead)
		}
	})
}

func TestAQuotaOutlastsARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		first := begin(t, w, rich)
		j := w.createIn(limited("C1", 2, time.Time{}), "deploy")
		after(6 * time.Second)
		w.move(j.ID, job.Sent, "", nil)
		after(6 * time.Second)
		first.stop()
		second := begin(t, w, rich)
		defer second.stop()
		after(time.Second)
		w.output(j.ID, "live\n")
		w.text(j.ID, "somebody asked it to stop")
		after(10 * time.Second)
		w.succeed(j.ID, "done")
		after(time.Second)
		wantLooks(t, first, "waiting")
		wantLooks(t, second, "succeeded")
		if len(w.given()) != 1 {
			t.Errorf("given up: %+v", w.given())
		}
	})
}
