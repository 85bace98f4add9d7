package jobtest

import (
	"errors"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

func (s *suite) prune(before time.Time, max int) int {
	s.Helper()
	n, err := s.Store.Prune(s.ctx, before, max)
	s.must(err)
	return n
}

var pruneTests = map[string]func(*suite){
	"what is final and old goes": func(s *suite) {
		s.addAgent(space, "web-1")
		var done []job.Job
		for range 5 {
			j := s.move(s.create(draft(space, "web-1", nil)), job.Sent, nil)
			s.must(s.append(j, 1, "output", roomy).Err)
			done = append(done, s.move(j, job.Succeeded, nil))
			s.Advance(time.Minute)
		}
		live := s.create(draft(space, "web-1", nil))
		sent := s.move(s.create(draft(space, "web-1", nil)), job.Sent, nil)
		s.Settle(s.T)
		s.Advance(100 * 24 * time.Hour)
		before := done[4].FinishedAt
		if n := s.prune(before, 3); n != 3 {
			s.Fatalf("%d were removed, want 3", n)
		}
		if n := s.prune(before, 3); n != 1 {
			s.Fatalf("%d were removed, want 1", n)
		}
		if n := s.prune(before, 3); n != 0 {
			s.Fatalf("%d were removed, want none", n)
		}
		equal(s, s.list(job.Filter{Space: space}), []string{sent.ID, live.ID, done[4].ID})
		for name, err := range map[string]error{
			"job":     second(s.Store.Job(s.ctx, space, done[0].ID)),
			"history": second(s.Store.History(s.ctx, space, done[0].ID)),
			"output":  second(s.Store.Output(s.ctx, space, done[0].ID, 0, 1)),
		} {
			if !errors.Is(err, job.ErrNotFound) {
				s.Errorf("%s of a removed job: %v", name, err)
			}
		}
		if history, err := s.Store.History(s.ctx, space, done[4].ID); err != nil || len(history) != 3 {
			s.Fatalf("the history of one that stays: %v, %v", history, err)
		}
	},
	"what is to be told stays": func(s *suite) {
		s.addAgent(space, "web-1")
		quiet := s.create(draft(space, "web-1", nil))
		e := draft(space, "web-1", nil)
		e.Draft.Conversation = &chat.ConversationRef{Account: "work-slack", Key: "C1"}
		told := s.create(e)
		message := job.Event{Subject: newID(), Space: space, Kind: job.EventMessage, At: s.now(), Text: "hi", Conversation: e.Draft.Conversation}
		_, err := s.Store.Create(s.ctx, []job.Entry{{Messages: []job.Event{message}}})
		s.must(err)
		s.move(quiet, job.Canceled, nil)
		s.move(told, job.Canceled, nil)
		s.Advance(100 * 24 * time.Hour)
		if n := s.prune(s.now(), 10); n != 0 {
			s.Fatalf("%d were removed before they were told", n)
		}
		if _, err := s.Store.History(s.ctx, space, message.Subject); err != nil {
			s.Fatalf("a message was removed before it was told: %v", err)
		}
		s.Settle(s.T)
		if n := s.prune(s.now(), 10); n != 2 {
			s.Fatalf("%d were removed, want 2", n)
		}
		if _, err := s.Store.History(s.ctx, space, message.Subject); !errors.Is(err, job.ErrNotFound) {
			s.Fatalf("a message that was told stays: %v", err)
		}
	},
	"a callback that is to be made keeps its job": func(s *suite) {
		s.addAgent(space, "web-1")
		e := draft(space, "web-1", nil)
		e.Draft.CallbackURL = "https://ci.example.com/done"
		j := s.move(s.create(e), job.Canceled, nil)
		s.Settle(s.T)
		call := job.Event{
			Subject: j.ID + ".callback", Space: space, Kind: job.EventCopy, At: s.now(), Agent: j.Agent, Num: j.Num,
			Status: job.Canceled, Reason: job.Denied, Conversation: &chat.ConversationRef{Account: job.CallbackAccount, Key: j.ID},
		}
		_, err := s.Store.Create(s.ctx, []job.Entry{{Messages: []job.Event{call}}})
		s.must(err)
		got, err := s.Store.History(s.ctx, space, call.Subject)
		if err != nil || len(got) != 1 {
			s.Fatalf("the event is %+v, %v", got, err)
		}
		equal(s, got[0], call)
		s.Advance(100 * 24 * time.Hour)
		if n := s.prune(s.now(), 10); n != 0 {
			s.Fatalf("%d were removed before the callback was made", n)
		}
		s.Settle(s.T)
		if n := s.prune(s.now(), 10); n != 1 {
			s.Fatalf("%d were removed, want 1", n)
		}
	},
	"keys are kept for two days at least": func(s *suite) {
		s.addAgent(space, "web-1")
		e := draft(space, "web-1", nil)
		e.Dedupe = &job.Dedupe{Space: space, Scope: "work-slack", Key: "Ev1"}
		s.move(s.create(e), job.Canceled, nil)
		s.Settle(s.T)
		s.Advance(47 * time.Hour)
		if n := s.prune(s.now(), 10); n != 1 {
			s.Fatalf("%d were removed, want 1", n)
		}
		again := draft(space, "web-1", nil)
		again.Dedupe = e.Dedupe
		created, err := s.Store.Create(s.ctx, []job.Entry{again})
		s.must(err)
		if !created[0].Duplicate || created[0].Job.ID != "" || created[0].Err != nil {
			s.Fatalf("a repetition after its job was removed is answered with %+v", created[0])
		}
		s.Advance(2 * time.Hour)
		s.prune(s.now(), 10)
		s.create(again)
	},
	"nothing to remove": func(s *suite) {
		if n := s.prune(s.now(), 10); n != 0 {
			s.Fatalf("%d were removed of an empty store", n)
		}
		if n := s.prune(s.now(), 0); n != 0 {
			s.Fatalf("%d were removed of at most none", n)
		}
	},
}
