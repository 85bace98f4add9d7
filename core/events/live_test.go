package events_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// appending is what a terminal can do.
var appending = chat.Capabilities{Edit: true, Append: true, LiveInterval: 100 * time.Millisecond}

func TestLiveOutputIsThrottled(t *testing.T) {
	t.Parallel()
	in(t, editing, func(t *testing.T, s *system) {
		j := s.create("C1", "deploy")
		s.move(j.ID, job.Sent, "", nil)
		after(time.Second)
		for i := range 100 {
			s.output(j.ID, fmt.Sprintf("line %d\n", i))
			after(100 * time.Millisecond)
		}
		n := len(s.messages())
		if n < 9 || n > 13 {
			t.Errorf("10 s of output made %d messages, one a second is allowed", n)
		}
		s.channel.mu.Lock()
		for i := 2; i < len(s.at); i++ {
			if d := s.at[i].Sub(s.at[i-1]); d < time.Second {
				t.Errorf("update %d came %s after the one before", i, d)
			}
		}
		s.channel.mu.Unlock()
		after(2 * time.Second)
		last := s.messages()[len(s.messages())-1]
		if !strings.HasSuffix(last.Card.Output, "line 99\n") && !strings.HasSuffix(last.Card.Output, "line 99") {
			t.Errorf("the last update shows %q", last.Card.Output)
		}
		if last.Card.OutputStart != 0 && !strings.HasPrefix(last.Card.Output, "line ") {
			t.Errorf("it begins within a line: %q", last.Card.Output[:20])
		}
		s.move(j.ID, job.Succeeded, "", &job.Result{Streamed: true})
		after(time.Second)
		final := s.messages()[len(s.messages())-1]
		if !final.Card.Final || !strings.Contains(final.Text, "line 0\n") || final.Edit == nil {
			t.Errorf("the result is %+v", final)
		}
		n = len(s.messages())
		s.output(j.ID, "too late")
		after(time.Minute)
		if len(s.messages()) != n {
			t.Error("a final job was updated")
		}
	})
}

func TestOnlyTheEndOfMuchOutputIsShown(t *testing.T) {
	t.Parallel()
	in(t, editing, func(t *testing.T, s *system) {
		j := s.create("C1", "deploy")
		s.move(j.ID, job.Sent, "", nil)
		after(time.Second)
		total := 0
		for i := range 1000 {
			line := fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 200))
			total += len(line)
			s.output(j.ID, line)
		}
		after(2 * time.Second)
		last := s.messages()[len(s.messages())-1]
		if len(last.Text) > 4000 || !strings.Contains(last.Text, "line 999 ") {
			t.Errorf("the update has %d bytes and ends in %q", len(last.Text), last.Text[len(last.Text)-30:])
		}
		if end := last.Card.OutputStart + int64(len(last.Card.Output)); end < int64(total)-1 || end > int64(total) {
			t.Errorf("it shows bytes up to %d of %d", end, total)
		}
	})
}

// read puts together what an appending channel got of a job.
func read(t *testing.T, s *system) string {
	t.Helper()
	var all strings.Builder
	for _, m := range s.messages() {
		if m.Card == nil || m.Card.Output == "" {
			continue
		}
		if m.Card.OutputStart != int64(all.Len()) {
			t.Fatalf("output from byte %d follows after %d bytes", m.Card.OutputStart, all.Len())
		}
		all.WriteString(m.Card.Output)
	}
	return all.String()
}

func TestAppendingGetsEveryByteOnce(t *testing.T) {
	t.Parallel()
	in(t, appending, func(t *testing.T, s *system) {
		j := s.create("C1", "deploy")
		s.move(j.ID, job.Sent, "", nil)
		after(time.Second)
		var want strings.Builder
		for i := range 3000 {
			text := fmt.Sprintf("piece %d %s\n", i, strings.Repeat("y", i%100))
			want.WriteString(text)
			s.output(j.ID, text)
			if i%500 == 0 {
				after(30 * time.Millisecond)
			}
		}
		var fails atomic.Int32
		s.failing(func(m chat.Outbound) error {
			if !m.Card.Final && fails.Add(1) <= 3 {
				return class(chat.Temporary, 0)
			}
			return nil
		})
		after(300 * time.Millisecond)
		s.move(j.ID, job.Succeeded, "", &job.Result{Streamed: true})
		after(5 * time.Second)
		if got := read(t, s); got != want.String() {
			t.Errorf("%d bytes were shown of %d", len(got), want.Len())
		}
		final := s.messages()[len(s.messages())-1]
		if !final.Card.Final {
			t.Error("the result did not come last")
		}
	})
}

func TestAJobThatEndsWithoutAResultShowsWhatItSaid(t *testing.T) {
	t.Parallel()
	for name, caps := range map[string]chat.Capabilities{"editing": editing, "plain": plain, "appending": appending} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in(t, caps, func(t *testing.T, s *system) {
				j := s.create("C1", "deploy")
				s.move(j.ID, job.Sent, "", nil)
				s.output(j.ID, "half done\n")
				after(time.Minute)
				s.move(j.ID, job.Expired, job.NoResult, nil)
				after(time.Second)
				found := false
				for _, m := range s.messages() {
					found = found || m.Card != nil && strings.Contains(m.Text, "half done")
				}
				if !found {
					t.Errorf("nobody was told what it said: %q", s.looks())
				}
			})
		})
	}
}

func TestLiveOutputGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		first := begin(t, w, editing)
		j := w.create("C1", "deploy")
		w.move(j.ID, job.Sent, "", nil)
		after(time.Second)
		first.stop()
		w.output(j.ID, "meanwhile\n")
		second := begin(t, w, editing)
		defer second.stop()
		after(2 * time.Second)
		w.output(j.ID, "and then\n")
		after(2 * time.Second)
		all := second.messages()
		if len(all) != 2 || all[1].Edit.ID != "m1" || !strings.Contains(all[1].Text, "meanwhile\nand then") {
			t.Errorf("after the restart: %+v", all)
		}
	})
}

func TestLiveUpdatesThatFailHoldUpNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []chat.Class{chat.Temporary, chat.RateLimited, chat.Auth, chat.Gone, chat.Permanent} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			in(t, editing, func(t *testing.T, s *system) {
				s.failing(func(m chat.Outbound) error {
					if strings.Contains(m.ID, ".live.") {
						return class(c, time.Minute)
					}
					return nil
				})
				j := s.create("C1", "deploy")
				s.move(j.ID, job.Sent, "", nil)
				after(time.Second)
				s.output(j.ID, "one\n")
				after(5 * time.Second)
				s.succeed(j.ID, "done")
				after(time.Second)
				wantLooks(t, s, "running", "m1=succeeded")
				if len(s.given()) != 0 {
					t.Errorf("given up: %v", s.given())
				}
			})
		})
	}
}

func TestLostWakesAreMadeUpFor(t *testing.T) {
	t.Parallel()
	in(t, editing, func(t *testing.T, s *system) {
		j := s.create("C1", "deploy")
		s.move(j.ID, job.Sent, "", nil)
		after(time.Second)
		s.world.mu.Lock()
		s.chunks[j.ID] = []job.OutputChunk{{Seq: 1, Text: "unheard\n"}}
		s.world.mu.Unlock()
		after(15 * time.Second)
		if n := len(s.messages()); n != 2 {
			t.Errorf("%d messages, want the output too", n)
		}
	})
}
