package storetest

import (
	"encoding/json"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

func (s *suite) conversations(max int) []events.Conversation {
	s.Helper()
	open, err := s.Store.OpenConversations(s.ctx, nil, max)
	s.must(err)
	return open
}

func (s *suite) open(c events.Conversation, max int) []job.Event {
	s.Helper()
	open, err := s.Store.Open(s.ctx, c, max)
	s.must(err)
	return open
}

func named(account, key string) events.Conversation {
	return events.Conversation{
		Account: account, Key: key,
		Partition: events.PartitionOf(account, key, events.DefaultPartitions),
	}
}

var tellTests = map[string]func(*suite){
	"in order, until it is recorded": func(s *suite) {
		a, b := conversation("work-slack", "A"), conversation("work-slack", "B")
		one, two := s.create(space, a), s.create(space, b)
		s.create(space, nil) // nobody is told
		s.Advance(-time.Hour)
		one = s.move(one, job.Sent)
		hello := s.say(a, "hello")
		one = s.move(one, job.Failed)
		equal(s, s.conversations(10), []events.Conversation{named("work-slack", "A"), named("work-slack", "B")})
		equal(s, s.conversations(1), []events.Conversation{named("work-slack", "A")})

		inA := named("work-slack", "A")
		want := []string{one.ID + ".1", one.ID + ".2", hello.ID(), one.ID + ".3"}
		open := s.open(inA, 10)
		equal(s, eventIDs(open), want)
		equal(s, open[3], statusEvent(one, one.FinishedAt))
		equal(s, open[2], hello)
		equal(s, eventIDs(s.open(inA, 2)), want[:2])
		equal(s, eventIDs(s.open(named("other", "A"), 10)), []string{})

		s.must(s.Store.Record(s.ctx, events.Delivery{Conversation: inA, Events: open[:2]}))
		s.must(s.Store.Record(s.ctx, events.Delivery{Conversation: inA, Events: open[:2]})) // twice is as once
		equal(s, eventIDs(s.open(inA, 10)), want[2:])
		// A has waited since its message now, so B comes first.
		equal(s, s.conversations(10), []events.Conversation{named("work-slack", "B"), named("work-slack", "A")})
		s.must(s.Store.Record(s.ctx, events.Delivery{Conversation: inA, Events: open[2:]}))
		equal(s, s.conversations(10), []events.Conversation{named("work-slack", "B")})
		equal(s, eventIDs(s.open(named("work-slack", "B"), 10)), []string{two.ID + ".1"})
		s.move(one, job.Failed) // a late word opens it again
		equal(s, s.conversations(10), []events.Conversation{named("work-slack", "B"), named("work-slack", "A")})
	},
	"a parked conversation": func(s *suite) {
		s.create(space, conversation("work-slack", "A"))
		s.create(space, conversation("work-slack", "B"))
		a := named("work-slack", "A")
		until := s.now().Add(time.Minute)
		s.must(s.Store.Park(s.ctx, a, until, 3, "rate limited", events.Guard{}))
		equal(s, s.conversations(10), []events.Conversation{named("work-slack", "B")})
		if len(s.open(a, 10)) != 1 {
			s.Fatal("a parked conversation lost its event")
		}
		s.create(space, conversation("work-slack", "A"))
		s.Advance(time.Minute - time.Microsecond)
		equal(s, s.conversations(10), []events.Conversation{named("work-slack", "B")})
		s.Advance(time.Microsecond)
		a.Tries = 3
		equal(s, s.conversations(10), []events.Conversation{a, named("work-slack", "B")})
		s.must(s.Store.Park(s.ctx, a, s.now().Add(time.Minute), 4, "again", events.Guard{}))
		// A good delivery forgets the failed ones.
		s.must(s.Store.Record(s.ctx, events.Delivery{Conversation: a, Events: s.open(a, 1)}))
		equal(s, s.conversations(10), []events.Conversation{named("work-slack", "B"), named("work-slack", "A")})
	},
	"parked before there is anything": func(s *suite) {
		a := named("work-slack", "A")
		s.must(s.Store.Park(s.ctx, a, s.now().Add(time.Minute), 1, "quota", events.Guard{}))
		equal(s, len(s.conversations(10)), 0)
		s.create(space, conversation("work-slack", "A"))
		equal(s, len(s.conversations(10)), 0)
		s.Advance(time.Minute)
		a.Tries = 1
		equal(s, s.conversations(10), []events.Conversation{a})
	},
	"references come back whole": func(s *suite) {
		c := conversation("work-slack", "A")
		c.Quota = &chat.Quota{Messages: 5, Until: time.Date(2026, 7, 9, 13, 0, 15, 123456789, time.UTC)}
		s.create(space, c)
		other := *c
		other.Quota = &chat.Quota{Messages: 5, Until: c.Quota.Until.Add(time.Minute)}
		s.say(&other, "hello")
		open := s.open(named("work-slack", "A"), 10)
		equal(s, []*chat.ConversationRef{open[0].Conversation, open[1].Conversation}, []*chat.ConversationRef{c, &other})
	},
	"undelivered": func(s *suite) {
		j := s.create(space, conversation("work-slack", "A"))
		a := named("work-slack", "A")
		open := s.open(a, 1)
		s.must(s.Store.Record(s.ctx, events.Delivery{Conversation: a, Events: open}))
		for _, why := range []string{"it came back", "it came back again"} {
			s.must(s.Store.Undelivered(s.ctx, space, j.ID, open[0].Version, why))
		}
		s.must(s.Store.Undelivered(s.ctx, "other", j.ID, open[0].Version, "of another space"))
		s.must(s.Store.Undelivered(s.ctx, space, j.ID, 99, "never was"))
		dead, err := s.Store.DeadLetters(s.ctx, space, 10)
		s.must(err)
		equal(s, dead, []events.DeadLetter{{Event: open[0], Reason: "it came back", At: s.now()}})
	},
	"dead letters": func(s *suite) {
		j := s.create(space, conversation("work-slack", "A"))
		j = s.move(j, job.Canceled)
		s.create("other", conversation("work-slack", "A"))
		a := named("work-slack", "A")
		open := s.open(a, 2)
		s.must(s.Store.Record(s.ctx, events.Delivery{Conversation: a, Events: open[:1], Dead: "channel_not_found"}))
		s.Advance(time.Second)
		s.must(s.Store.Record(s.ctx, events.Delivery{Conversation: a, Events: open, Dead: "is_archived"}))
		dead, err := s.Store.DeadLetters(s.ctx, space, 10)
		s.must(err)
		equal(s, dead, []events.DeadLetter{
			{Event: statusEvent(j, j.FinishedAt), Reason: "is_archived", At: s.now()},
			{Event: open[0], Reason: "channel_not_found", At: s.now().Add(-time.Second)},
		})
		if dead, err = s.Store.DeadLetters(s.ctx, space, 1); err != nil || len(dead) != 1 || dead[0].Reason != "is_archived" {
			s.Fatalf("the newest is %+v, %v", dead, err)
		}
		if dead, err = s.Store.DeadLetters(s.ctx, "other", 10); err != nil || len(dead) != 0 {
			s.Fatalf("dead letters of another space: %+v, %v", dead, err)
		}
		if len(s.open(a, 10)) != 1 {
			s.Fatal("the other space's event is not open any more")
		}
	},
	"the message that shows a job": func(s *suite) {
		c := conversation("work-slack", "A")
		j := s.create(space, c)
		if _, ok, err := s.Store.MessageRef(s.ctx, j.ID); err != nil || ok {
			s.Fatalf("there is a reference before one was kept: %v", err)
		}
		a := named("work-slack", "A")
		for _, id := range []string{"1700.1", "1700.2"} {
			ref := &chat.MessageRef{ID: id, Data: json.RawMessage(`{"channel":"<C1>"}`)}
			d := events.Delivery{Conversation: a, JobID: j.ID, Ref: ref}
			if id == "1700.1" {
				d.Events = s.open(a, 10)
			}
			s.must(s.Store.Record(s.ctx, d))
			got, ok, err := s.Store.MessageRef(s.ctx, j.ID)
			s.must(err)
			if !ok {
				s.Fatal("the reference was not kept")
			}
			equal(s, got, *ref)
		}
		shown := func() []events.ShownJob {
			got, err := s.Store.Shown(s.ctx, nil, 10)
			s.must(err)
			return got
		}
		equal(s, len(shown()), 0)
		s.move(s.create(space, c), job.Sent) // no message shows it
		j = s.move(j, job.Sent)
		equal(s, shown(), []events.ShownJob{{Space: space, ID: j.ID}})
		s.move(j, job.Failed)
		equal(s, len(shown()), 0)
	},
	"backlog": func(s *suite) {
		backlog := func() (int64, time.Duration) {
			open, oldest, err := s.Store.Backlog(s.ctx)
			s.must(err)
			return open, oldest
		}
		if open, oldest := backlog(); open != 0 || oldest != 0 {
			s.Fatalf("an empty backlog has %d, %s old", open, oldest)
		}
		s.create(space, conversation("work-slack", "A"))
		s.Advance(time.Minute)
		s.create(space, conversation("work-slack", "B"))
		s.create(space, nil)
		s.Advance(time.Second)
		if open, oldest := backlog(); open != 2 || oldest != time.Minute+time.Second {
			s.Fatalf("the backlog has %d, %s old", open, oldest)
		}
		a := named("work-slack", "A")
		s.must(s.Store.Record(s.ctx, events.Delivery{Conversation: a, Events: s.open(a, 10)}))
		if open, oldest := backlog(); open != 1 || oldest != time.Second {
			s.Fatalf("the backlog has %d, %s old", open, oldest)
		}
	},
}
