package jobtest

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// silentFor is the offline period of these tests.
const silentFor = 3 * time.Minute

func (s *suite) outages() []job.Outage {
	s.Helper()
	found, err := s.Store.Outages(s.ctx, silentFor, 10)
	s.must(err)
	return found
}

func (s *suite) note(o job.Outage, messages ...job.Event) bool {
	s.Helper()
	noted, err := s.Store.NoteOutage(s.ctx, o, silentFor, messages)
	s.must(err)
	return noted
}

// alert is a message about an agent.
func (s *suite) alert(text string) job.Event {
	return job.Event{
		Subject: newID(), Space: space, Kind: job.EventMessage, At: s.now(), Agent: "web-1", Text: text,
		Conversation: &chat.ConversationRef{Account: "work-slack", Channel: "C1", Key: "C1"},
	}
}

var outageTests = map[string]func(*suite){
	"an outage and its end are noted once each": func(s *suite) {
		a := s.addAgent(space, "web-1")
		seen := a.LastSeenAt
		if found := s.outages(); len(found) != 0 {
			s.Fatalf("an agent that is online has outages: %+v", found)
		}
		s.Advance(silentFor - time.Second)
		if found := s.outages(); len(found) != 0 {
			s.Fatalf("it is not silent for long enough: %+v", found)
		}
		s.Advance(time.Second)
		found := s.outages()
		if len(found) != 1 || found[0].Agent.ID != a.ID || found[0].Over || !found[0].Since.Equal(seen) || found[0].Agent.Name != "web-1" {
			s.Fatalf("the outages are %+v", found)
		}
		down := s.alert("web-1 is offline")
		if !s.note(found[0], down) || s.note(found[0], s.alert("again")) {
			s.Fatal("it is to be noted once")
		}
		if found := s.outages(); len(found) != 0 {
			s.Fatalf("what is noted is an outage still: %+v", found)
		}
		history, err := s.Store.History(s.ctx, space, down.Subject)
		if err != nil || len(history) != 1 || history[0].Text != down.Text || history[0].Conversation == nil {
			s.Fatalf("the message is %+v, %v", history, err)
		}

		s.Advance(time.Hour)
		s.must(s.Store.Seen(s.ctx, []string{a.ID}, s.now()))
		found = s.outages()
		if len(found) != 1 || !found[0].Over || !found[0].Since.Equal(seen) {
			s.Fatalf("the outages are %+v", found)
		}
		if !s.note(found[0], s.alert("web-1 is back")) || s.note(found[0]) || len(s.outages()) != 0 {
			s.Fatal("its end is to be noted once")
		}
		s.Advance(silentFor)
		if found := s.outages(); len(found) != 1 || found[0].Over {
			s.Fatalf("the next outage is another: %+v", found)
		}
	},
	"what changed meanwhile is not noted": func(s *suite) {
		a := s.addAgent(space, "web-1")
		s.Advance(silentFor)
		o := s.outages()[0]
		s.must(s.Store.Seen(s.ctx, []string{a.ID}, s.now()))
		e := s.alert("web-1 is offline")
		if s.note(o, e) {
			s.Fatal("it is back already")
		}
		if history, err := s.Store.History(s.ctx, space, e.Subject); err == nil && len(history) > 0 {
			s.Fatal("a message of what was not noted is there")
		}
		s.Advance(silentFor)
		s.note(s.outages()[0])
		s.must(s.Store.Seen(s.ctx, []string{a.ID}, s.now()))
		o = s.outages()[0]
		s.Advance(silentFor)
		if s.note(o) {
			s.Fatal("it is away again already")
		}
	},
	"the removed and the never seen have none": func(s *suite) {
		s.must(s.Store.CreateAgent(s.ctx, job.Agent{ID: newID(), Space: space, Name: "new", CreatedAt: s.now()}))
		gone := s.addAgent(space, "gone")
		s.Advance(silentFor)
		o := s.outages()
		s.must(s.Store.RemoveAgent(s.ctx, space, "gone"))
		if len(o) != 1 || o[0].Agent.ID != gone.ID || s.note(o[0]) || len(s.outages()) != 0 {
			s.Fatalf("%+v", o)
		}
	},
	"of all spaces, as many as are asked for": func(s *suite) {
		for _, in := range []string{space, "other", "third"} {
			s.addAgent(in, "web-1")
		}
		s.Advance(silentFor)
		var all []string
		for range 3 {
			found, err := s.Store.Outages(s.ctx, silentFor, 1)
			s.must(err)
			if len(found) != 1 || !s.note(found[0]) {
				s.Fatalf("%+v", found)
			}
			all = append(all, found[0].Agent.Space)
		}
		slices.Sort(all)
		equal(s, all, []string{space, "other", "third"})
	},
	"many note it at once": func(s *suite) {
		s.addAgent(space, "web-1")
		s.Advance(silentFor)
		o := s.outages()[0]
		var noted atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if ok, err := s.Store.NoteOutage(s.ctx, o, silentFor, []job.Event{s.alert("web-1 is offline")}); err != nil {
					s.Error(err)
				} else if ok {
					noted.Add(1)
				}
			})
		}
		all.Wait()
		if noted.Load() != 1 {
			s.Fatalf("it was noted %d times", noted.Load())
		}
	},
}
