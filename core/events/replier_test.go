package events_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// in runs a test in a bubble with a clock of its own, and ends its system.
func in(t *testing.T, caps chat.Capabilities, test func(t *testing.T, s *system)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, newWorld(), caps)
		defer s.stop()
		test(t, s)
	})
}

// after lets time pass.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func wantLooks(t *testing.T, s *system, want ...string) {
	t.Helper()
	if got := s.looks(); !slices.Equal(got, want) {
		t.Fatalf("it was told as %q, want %q", got, want)
	}
}

func TestAJobIsOneMessageThatIsEdited(t *testing.T) {
	t.Parallel()
	in(t, editing, func(t *testing.T, s *system) {
		j := s.create("C1", "deploy")
		after(time.Second)
		s.move(j.ID, job.Sent, "", nil)
		after(time.Second)
		s.succeed(j.ID, "done")
		after(time.Second)
		wantLooks(t, s, "waiting", "m1=running", "m1=succeeded")
		last := s.messages()[2]
		if last.Card.Output != "done" || !strings.Contains(last.Text, "done") || last.Mention != nil {
			t.Errorf("the result came as %+v", last)
		}
		if last.To.Key != "C1" || string(last.To.Data) != `{"thread":"C1"}` {
			t.Errorf("it went to %+v", last.To)
		}
		if last.ID != "job-1.3" {
			t.Errorf("its ID is %q", last.ID)
		}
		if s.open() != 0 {
			t.Errorf("%d events are still open", s.open())
		}
	})
}

func TestAJobThatIsDoneAtOnceIsOneMessage(t *testing.T) {
	t.Parallel()
	for name, caps := range map[string]chat.Capabilities{"editing": editing, "plain": plain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in(t, caps, func(t *testing.T, s *system) {
				j := s.create("C1", "deploy")
				after(20 * time.Millisecond)
				s.move(j.ID, job.Sent, "", nil)
				after(20 * time.Millisecond)
				s.succeed(j.ID, "done")
				after(time.Second)
				wantLooks(t, s, "succeeded")
			})
		})
	}
}

func TestAChannelThatCannotEditIsToldOnceOnTheWay(t *testing.T) {
	t.Parallel()
	in(t, plain, func(t *testing.T, s *system) {
		j := s.create("C1", "deploy")
		after(6 * time.Second)
		s.move(j.ID, job.Sent, "", nil)
		after(20 * time.Second)
		wantLooks(t, s, "waiting")
		s.succeed(j.ID, "done")
		after(time.Second)
		wantLooks(t, s, "waiting", "succeeded")
		if s.open() != 0 {
			t.Errorf("%d events are still open", s.open())
		}
	})
}

func TestAQuotaOfOneIsLeftForTheResult(t *testing.T) {
	t.Parallel()
	in(t, chat.Capabilities{ReplyQuota: 1}, func(t *testing.T, s *system) {
		j := s.create("C1", "deploy")
		after(time.Minute)
		s.move(j.ID, job.Expired, job.NotTaken, nil)
		after(time.Second)
		wantLooks(t, s, "expired")
		if s.messages()[0].Mention == nil {
			t.Error("nobody was notified of what came after a minute")
		}
	})
}

func TestALongJobEndsWithAMessageThatNotifies(t *testing.T) {
	t.Parallel()
	in(t, editing, func(t *testing.T, s *system) {
		j := s.create("C1", "backup")
		s.move(j.ID, job.Sent, "", nil)
		after(31 * time.Second)
		s.succeed(j.ID, "done")
		after(time.Second)
		all := s.messages()
		if len(all) != 3 || all[1].Edit == nil || all[2].Edit != nil {
			t.Fatalf("it was told as %q", s.looks())
		}
		last := all[2]
		if last.Mention == nil || last.Mention.User != "U1" || !strings.Contains(last.Text, "✓ #") {
			t.Errorf("the farewell is %+v", last)
		}
		if last.ID == all[1].ID {
			t.Error("two messages share an ID")
		}
	})
	appending := editing
	appending.Append = true
	in(t, appending, func(t *testing.T, s *system) {
		j := s.create("C1", "backup")
		s.move(j.ID, job.Sent, "", nil)
		after(31 * time.Second)
		s.succeed(j.ID, "done")
		after(time.Second)
		wantLooks(t, s, "running", "m1=succeeded")
	})
}

func TestOrderIsKept(t *testing.T) {
	t.Parallel()
	in(t, editing, func(t *testing.T, s *system) {
		a, b := s.create("C1", "a"), s.create("C1", "b")
		s.say("C1", "text-1", "first text")
		s.move(a.ID, job.Sent, "", nil)
		s.succeed(a.ID, "")
		s.say("C1", "text-2", "second text")
		s.move(b.ID, job.Sent, "", nil)
		s.move(b.ID, job.Failed, "", nil)
		after(time.Second)
		wantLooks(t, s, "waiting", "waiting", "first text", "m1=succeeded", "second text", "m2=failed")
	})
}

func TestAJobOfTheAPICostsNothing(t *testing.T) {
	t.Parallel()
	in(t, editing, func(t *testing.T, s *system) {
		after(100 * time.Millisecond)
		for range 100 {
			j := s.create("", "deploy")
			s.move(j.ID, job.Sent, "", nil)
			s.output(j.ID, "x")
			s.succeed(j.ID, "done")
		}
		after(time.Second)
		for _, method := range []string{"Open", "Job", "MessageRef", "LiveOutput", "Record"} {
			if n := s.count(method); n != 0 {
				t.Errorf("%s was called %d times", method, n)
			}
		}
		if n := s.count("MarkPublished"); n == 0 || n > 10 {
			t.Errorf("300 events were marked in %d writes", n)
		}
	})
}

func TestWhatWasThereBeforeTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		j := w.create("C1", "deploy")
		w.succeed(j.ID, "done")
		w.mu.Lock()
		for _, r := range w.rows {
			r.published = true // the queue had it and lost it
		}
		w.mu.Unlock()
		s := begin(t, w, editing)
		defer s.stop()
		after(time.Second)
		wantLooks(t, s, "succeeded")
	})
}

func TestTextsAreCutIntoPieces(t *testing.T) {
	t.Parallel()
	in(t, chat.Capabilities{MaxBytes: 100, ReplyQuota: 3}, func(t *testing.T, s *system) {
		s.say("C1", "long", strings.Repeat(strings.Repeat("é", 20)+"\n", 50))
		after(time.Second)
		all := s.messages()
		if len(all) != 3 {
			t.Fatalf("it came in %d messages, want the 3 that may be sent", len(all))
		}
		ids := make(map[string]bool)
		for _, m := range all {
			if len(m.Text) > 100 {
				t.Errorf("a piece has %d bytes", len(m.Text))
			}
			if m.Continues != (len(ids) > 0) {
				t.Errorf("message %s continues one: %t", m.ID, m.Continues)
			}
			ids[m.ID] = true
		}
		if len(ids) != 3 || !strings.HasSuffix(all[2].Text, "…") {
			t.Errorf("the pieces are %q", s.looks())
		}
	})
}

func TestManyConversationsAtOnce(t *testing.T) {
	t.Parallel()
	in(t, editing, func(t *testing.T, s *system) {
		const n = 500
		s.failing(func(chat.Outbound) error { <-time.After(100 * time.Millisecond); return nil })
		for i := range n {
			for k := range 3 {
				s.say(fmt.Sprint("C", i), fmt.Sprintf("%d-%d", i, k), fmt.Sprintf("%d.%d", i, k))
			}
		}
		after(15 * time.Second) // one after the other it would be 150 s
		next := make(map[string]int)
		for _, m := range s.messages() {
			var i, k int
			if _, err := fmt.Sscanf(m.Text, "%d.%d", &i, &k); err != nil {
				t.Fatal(err)
			}
			if next[m.To.Key] != k || m.To.Key != fmt.Sprint("C", i) {
				t.Fatalf("%s came in %s, where %d was next", m.Text, m.To.Key, next[m.To.Key])
			}
			next[m.To.Key]++
		}
		if len(s.messages()) != 3*n {
			t.Errorf("%d of %d messages were told in time", len(s.messages()), 3*n)
		}
	})
}

func TestAnAccountThatHangsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := begin(t, w, editing)
		defer s.stop()
		other := &channel{caps: editing}
		if err := s.accounts.Add(events.Account{Name: "other", Kind: "test", Adapter: other}); err != nil {
			t.Fatal(err)
		}
		hang := make(chan struct{})
		s.failing(func(chat.Outbound) error { <-hang; return nil })
		for i := range 100 {
			s.say(fmt.Sprint("C", i), fmt.Sprint("t", i), "hello")
		}
		w.mu.Lock()
		w.rows = append(w.rows, &row{event: job.Event{
			Subject: "x", Space: job.DefaultSpace, Kind: job.EventMessage, At: time.Now(), Text: "through",
			Conversation: &chat.ConversationRef{Account: "other", Key: "C1"},
		}})
		w.mu.Unlock()
		w.Wake(job.WakeEvents)
		after(time.Second)
		if got := other.looks(); !slices.Equal(got, []string{"through"}) {
			t.Errorf("the other account told %q", got)
		}
		close(hang)
		after(time.Second)
	})
}

func TestAnAccountThatTheConfigLacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := begin(t, w, editing)
		defer s.stop()
		s.accounts.Remove("work")
		w.say("C1", "a", "one")
		after(time.Hour)
		if len(w.given()) != 0 {
			t.Fatal("given up at once")
		}
		if err := s.accounts.Add(events.Account{Name: "work", Kind: "test", Adapter: s.channel}); err != nil {
			t.Fatal(err)
		}
		after(2 * time.Minute)
		wantLooks(t, s, "one")
		s.accounts.Remove("work")
		w.say("C1", "b", "two")
		after(25 * time.Hour)
		if len(w.given()) != 1 || w.open() != 0 {
			t.Errorf("given up: %+v, open: %d", w.given(), w.open())
		}
	})
}

func TestOutputIsShownAsTheChannelCan(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a line of output\n", 300)
	in(t, plain, func(t *testing.T, s *system) {
		j := s.create("C1", "deploy")
		s.move(j.ID, job.Sent, "", nil)
		s.output(j.ID, long)
		s.show("C2", "a", j.Num, 1)
		after(time.Second)
		s.move(j.ID, job.Succeeded, "", &job.Result{Streamed: true})
		s.show("C2", "b", j.Num, 4)
		s.show("C2", "c", j.Num, 5)
		s.show("C2", "d", 99, 1)
		after(time.Second)
		var all []chat.Outbound
		for _, m := range s.messages() {
			if m.To.Key == "C2" {
				all = append(all, m)
			}
		}
		if len(all) != 4 {
			t.Fatalf("it came as %q", s.looks())
		}
		next, last := all[0].Text, all[1].Text
		if all[0].ID != "a.0" || !strings.HasPrefix(next, "▸ #"+j.Code()) ||
			!strings.HasSuffix(next, "Page 1 of 4; `output "+j.Code()+" 2` shows the next.") {
			t.Errorf("the first page is %q", next)
		}
		if !strings.HasPrefix(last, "✓ #") || !strings.HasSuffix(last, "\nPage 4 of 4.") {
			t.Errorf("the last page is %q", last)
		}
		for i, want := range []string{"There is no page 5", "The job #" + job.EncodeCode(99) + " is no longer there."} {
			if m := all[2+i]; !m.Refused || !strings.HasPrefix(m.Text, want) {
				t.Errorf("it said %q, refused %v; want %q", m.Text, m.Refused, want)
			}
		}
		if s.open() != 0 {
			t.Errorf("%d events are still open", s.open())
		}
	})
	filing := editing
	filing.Files = true
	in(t, filing, func(t *testing.T, s *system) {
		j := s.create("", "deploy")
		s.move(j.ID, job.Sent, "", nil)
		s.succeed(j.ID, long)
		s.show("C2", "a", j.Num, 1)
		after(time.Second)
		all := s.messages()
		if len(all) != 1 || len(all[0].Files) != 1 || all[0].Files[0] != (chat.File{Name: j.Code() + ".txt", Text: long}) {
			t.Fatalf("it came as %+v", all)
		}
	})
}
