package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// keyIn returns the n-th key of an account's conversation in the partition.
func keyIn(account string, partition, n int) string {
	for i := 0; ; i++ {
		key := fmt.Sprint("key", i)
		if events.PartitionOf(account, key, events.DefaultPartitions) != partition {
			continue
		}
		if n--; n < 0 {
			return key
		}
	}
}

// in returns the open conversations of the partitions.
func (s *suite) in(partitions ...int) []events.Conversation {
	s.Helper()
	if partitions == nil {
		partitions = []int{} // none, where nil stands for all
	}
	open, err := s.Store.OpenConversations(s.ctx, partitions, 10)
	s.must(err)
	return open
}

// mayNot checks that neither guarded write passes, and that nothing changed.
func (s *suite) mayNot(why string, c events.Conversation, jobID string, g events.Guard) {
	s.Helper()
	before := s.open(c, 10)
	waiting := s.conversations(10)
	d := events.Delivery{
		Conversation: c, Events: before, JobID: jobID, Ref: &chat.MessageRef{ID: "1"}, Dead: "gone", Guard: g,
	}
	if err := s.Store.Record(s.ctx, d); !errors.Is(err, events.ErrNotHolder) {
		s.Fatalf("%s: Record answers %v", why, err)
	}
	if err := s.Store.Park(s.ctx, c, s.now().Add(time.Hour), 3, "slow", g); !errors.Is(err, events.ErrNotHolder) {
		s.Fatalf("%s: Park answers %v", why, err)
	}
	equal(s, s.open(c, 10), before)
	equal(s, s.conversations(10), waiting)
	if _, ok, err := s.Store.MessageRef(s.ctx, jobID); ok || err != nil {
		s.Fatalf("%s: a reference was kept (%v)", why, err)
	}
	if dead, err := s.Store.DeadLetters(s.ctx, space, 10); err != nil || len(dead) != 0 {
		s.Fatalf("%s: dead letters %v (%v)", why, dead, err)
	}
}

var partitionTests = map[string]func(*suite){
	"open conversations of some": func(s *suite) {
		one, other, three := keyIn("work-slack", 1, 0), keyIn("work-slack", 1, 1), keyIn("work-slack", 3, 0)
		for _, key := range []string{one, three, other} {
			s.create(space, conversation("work-slack", key))
		}
		first, second, third := named("work-slack", one), named("work-slack", three), named("work-slack", other)
		equal(s, first.Partition, 1)
		equal(s, s.conversations(10), []events.Conversation{first, second, third})
		equal(s, s.in(1), []events.Conversation{first, third})
		equal(s, s.in(3), []events.Conversation{second})
		equal(s, s.in(0, 3, 1), []events.Conversation{first, second, third})
		equal(s, len(s.in(2)), 0)
		equal(s, len(s.in()), 0)
		if got, err := s.Store.OpenConversations(s.ctx, []int{1}, 1); err != nil || len(got) != 1 || got[0] != first {
			s.Fatalf("one of them: %+v, %v", got, err)
		}

		// A parked one keeps its partition, also if it was parked first.
		s.must(s.Store.Park(s.ctx, first, s.now().Add(time.Minute), 2, "slow", events.Guard{}))
		early := named("work-slack", keyIn("work-slack", 1, 2))
		s.must(s.Store.Park(s.ctx, early, s.now().Add(time.Minute), 1, "slow", events.Guard{}))
		s.create(space, conversation("work-slack", early.Key))
		equal(s, s.in(1), []events.Conversation{third})
		s.Advance(time.Minute)
		first.Tries, early.Tries = 2, 1
		equal(s, s.in(1), []events.Conversation{first, third, early})
		equal(s, s.in(3), []events.Conversation{second})
	},
	"shown jobs of some": func(s *suite) {
		ids := map[int]string{}
		for _, p := range []int{1, 3} {
			c := conversation("work-slack", keyIn("work-slack", p, 0))
			j := s.move(s.create(space, c), job.Sent)
			ids[p] = j.ID
			ref := &chat.MessageRef{ID: "1", Data: json.RawMessage(`{}`)}
			s.must(s.Store.Record(s.ctx, events.Delivery{Conversation: named(c.Account, c.Key), JobID: j.ID, Ref: ref}))
		}
		shown := func(partitions []int, max int) int {
			s.Helper()
			got, err := s.Store.Shown(s.ctx, partitions, max)
			s.must(err)
			return len(got)
		}
		for _, p := range []int{1, 3} {
			got, err := s.Store.Shown(s.ctx, []int{p}, 10)
			s.must(err)
			equal(s, got, []events.ShownJob{{Space: space, ID: ids[p]}})
		}
		equal(s, shown([]int{1, 2, 3}, 10), 2)
		equal(s, shown([]int{2}, 10), 0)
		equal(s, shown([]int{}, 10), 0)
		equal(s, shown(nil, 10), 2)
		equal(s, shown(nil, 1), 1)
	},
	"guarded": func(s *suite) {
		j := s.create(space, conversation("work-slack", "A"))
		c := named("work-slack", "A")
		a, b := s.Store.Leaser("node-a"), s.Store.Leaser("node-b")
		const lease = "replies/7"
		take := func(l chat.Leaser) events.Guard {
			s.Helper()
			epoch, held, err := l.Acquire(s.ctx, lease, time.Minute)
			s.must(err)
			if !held {
				s.Fatal("the lease was not given")
			}
			return events.Guard{Lease: lease, Epoch: epoch}
		}
		s.mayNot("nobody took the lease", c, j.ID, events.Guard{Lease: lease, Epoch: 1})

		g := take(a)
		s.mayNot("another epoch", c, j.ID, events.Guard{Lease: lease, Epoch: g.Epoch + 1})
		s.mayNot("another lease", c, j.ID, events.Guard{Lease: "replies/8", Epoch: g.Epoch})
		s.must(s.Store.Park(s.ctx, c, s.now().Add(time.Second), 1, "slow", g))
		equal(s, len(s.conversations(10)), 0)
		s.Advance(time.Second)
		c.Tries = 1

		s.Advance(time.Minute)
		s.mayNot("it ran out", c, j.ID, g)
		stale, g := g, take(b)
		s.mayNot("another holder", c, j.ID, stale)

		s.must(b.Release(s.ctx, lease))
		s.mayNot("it was released", c, j.ID, g)
		stale, g = g, take(b)
		s.mayNot("it was released and taken again", c, j.ID, stale)

		s.Advance(time.Minute - time.Microsecond)
		ref := &chat.MessageRef{ID: "1", Data: json.RawMessage(`{}`)}
		s.must(s.Store.Record(s.ctx, events.Delivery{Conversation: c, Events: s.open(c, 10), JobID: j.ID, Ref: ref, Guard: g}))
		equal(s, len(s.open(c, 10)), 0)
		if _, ok, err := s.Store.MessageRef(s.ctx, j.ID); !ok || err != nil {
			s.Fatalf("the reference was not kept (%v)", err)
		}
	},
	"the number is kept": func(s *suite) {
		s.create(space, conversation("work-slack", keyIn("work-slack", 5, 0)))
		for _, same := range []int{0, events.DefaultPartitions} {
			again, err := s.Reopen(same)
			s.must(err)
			open, err := again.OpenConversations(s.ctx, []int{5}, 10)
			s.must(err)
			equal(s, len(open), 1)
			s.must(again.Close())
		}
		again, err := s.Reopen(24)
		if err == nil {
			s.must(again.Close())
			s.Fatal("it was opened with another number of partitions")
		}
		for _, says := range []string{"16", "24", "queue.partitions"} {
			if !strings.Contains(err.Error(), says) {
				s.Errorf("the error does not say %q: %v", says, err)
			}
		}
	},
}
