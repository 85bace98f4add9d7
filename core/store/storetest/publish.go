package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

func (s *suite) unpublished(max int) []job.Event {
	s.Helper()
	all, err := s.Store.Unpublished(s.ctx, max)
	s.must(err)
	return all
}

var publishTests = map[string]func(*suite){
	"each job's events by version": func(s *suite) {
		a, b := s.create(space, nil), s.create("other", conversation("work-slack", "C1"))
		s.Advance(-time.Hour) // a clock that is set back changes no order
		a = s.move(a, job.Sent)
		b = s.move(b, job.Canceled)
		a = s.move(a, job.Failed)
		message := s.say(conversation("work-slack", "C2"), "hello")
		want := []string{
			a.ID + ".1", b.ID + ".1", a.ID + ".2", b.ID + ".2", a.ID + ".3", message.ID(),
		}
		all := s.unpublished(100)
		equal(s, eventIDs(all), want)
		equal(s, all[4], statusEvent(a, a.FinishedAt))
		equal(s, all[3], statusEvent(b, b.FinishedAt))
		equal(s, all[5], message)
		equal(s, eventIDs(s.unpublished(2)), want[:2])
		s.must(s.Store.MarkPublished(s.ctx, []job.Event{all[0], all[2], all[3]}))
		equal(s, eventIDs(s.unpublished(100)), []string{want[1], want[4], want[5]})
		// Again, and one that was never read but is named by what it is.
		s.must(s.Store.MarkPublished(s.ctx, []job.Event{all[0], {Subject: b.ID, Version: 1}}))
		equal(s, eventIDs(s.unpublished(100)), want[4:])
		s.must(s.Store.MarkPublished(s.ctx, all))
		s.must(s.Store.MarkPublished(s.ctx, nil))
		equal(s, len(s.unpublished(100)), 0)
		// Published is not told.
		open, _, err := s.Store.Backlog(s.ctx)
		s.must(err)
		if open != 3 {
			s.Fatalf("%d events are open, want 3", open)
		}
	},
	"while events come": func(s *suite) {
		const creators, each = 4, 50
		var all sync.WaitGroup
		for c := range creators {
			all.Go(func() {
				for i := range each {
					e := job.Event{Subject: fmt.Sprintf("%d-%d", c, i), Space: space, Kind: job.EventMessage, At: s.now(), Text: "x"}
					if _, err := s.Store.Create(s.ctx, []job.Entry{{Messages: []job.Event{e}}}); err != nil {
						s.Error(err)
					}
				}
			})
		}
		seen := map[string]bool{}
		last := make([]int, creators)
		for len(seen) < creators*each && !s.Failed() {
			got := s.unpublished(17)
			for _, e := range got {
				if seen[e.Subject] {
					s.Fatalf("event %s was published before", e.Subject)
				}
				seen[e.Subject] = true
				var c, i int
				if _, err := fmt.Sscanf(e.Subject, "%d-%d", &c, &i); err != nil || i != last[c] {
					s.Fatalf("event %s came out of order: %v", e.Subject, err)
				}
				last[c]++
			}
			s.must(s.Store.MarkPublished(s.ctx, got))
		}
		all.Wait()
		equal(s, len(s.unpublished(10)), 0)
	},
}
