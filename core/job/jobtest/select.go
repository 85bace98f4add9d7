package jobtest

import (
	"errors"
	"slices"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// selected returns the IDs of a selection's jobs and changes nothing.
func (s *suite) selected(sel job.Selection) []string {
	s.Helper()
	us, err := s.Store.Update(s.ctx, sel, leave)
	s.must(err)
	for _, u := range us {
		if u.Changed || u.Err != nil {
			s.Fatalf("nothing was to be changed: %+v", u)
		}
	}
	return updatedIDs(us)
}

func sorted(ids []string) []string {
	slices.Sort(ids)
	return ids
}

var selectTests = map[string]func(*suite){
	"claimable": func(s *suite) {
		s.addAgent(space, "web-1")
		s.addAgent(space, "web-2")
		first := s.create(draft(space, "web-1", nil))
		s.create(draft(space, "web-2", nil))
		waiting := s.create(draft(space, "web-1", func(j *job.Job) { j.Approval = job.ApprovalWaiting }))
		offered := s.create(draft(space, "web-1", func(j *job.Job) {
			j.Lease, j.Attempt, j.OfferedUntil = "l", 1, j.CreatedAt.Add(30*time.Second)
		}))
		s.move(s.create(draft(space, "web-1", nil)), job.Sent, nil)
		s.move(s.create(draft(space, "web-1", nil)), job.Canceled, nil)
		granted := s.create(draft(space, "web-1", func(j *job.Job) { j.Approval = job.ApprovalGranted }))
		last := s.create(draft(space, "web-1", nil))

		claim := func(max int) []string { s.Helper(); return s.selected(job.Claimable(space, "web-1", max)) }
		equal(s, claim(10), []string{first.ID, granted.ID, last.ID})
		equal(s, claim(2), []string{first.ID, granted.ID})
		equal(s, claim(0), []string{})
		s.Advance(30 * time.Second)
		equal(s, claim(10), []string{first.ID, offered.ID, granted.ID, last.ID})
		s.must(s.Store.PauseAgent(s.ctx, space, "web-1", "somebody"))
		equal(s, claim(10), []string{})
		s.must(s.Store.PauseAgent(s.ctx, space, "web-1", ""))
		us, err := s.Store.Update(s.ctx, job.Claimable(space, "web-1", 3), to(job.Sent, nil))
		s.must(err)
		equal(s, updatedIDs(us), []string{first.ID, offered.ID, granted.ID})
		equal(s, claim(10), []string{last.ID})
		s.move(waiting, job.Queuing, func(j *job.Job) { j.Approval = job.ApprovalGranted })
		equal(s, claim(10), []string{waiting.ID, last.ID})
		equal(s, s.selected(job.Claimable(space, "web-9", 10)), []string{})
		equal(s, s.selected(job.Claimable("other", "web-1", 10)), []string{})
	},
	"due": func(s *suite) {
		s.addAgent(space, "web-1")
		s.addAgent("other", "web-1")
		due := func(in string, after time.Duration) job.Job {
			return s.create(draft(in, "web-1", func(j *job.Job) { j.DueAt = j.CreatedAt.Add(after) }))
		}
		b, a, c := due(space, 2*time.Minute), due("other", time.Minute), due(space, 3*time.Minute)
		never := s.create(draft(space, "web-1", func(j *job.Job) { j.DueAt = time.Time{} }))
		final := due(space, time.Minute)
		s.move(final, job.Canceled, nil)
		equal(s, s.selected(job.Due(10)), []string{})
		s.Advance(2*time.Minute - time.Microsecond)
		equal(s, s.selected(job.Due(10)), []string{a.ID})
		s.Advance(time.Microsecond)
		equal(s, s.selected(job.Due(10)), []string{a.ID, b.ID})
		s.Advance(time.Hour)
		equal(s, s.selected(job.Due(2)), []string{a.ID, b.ID})
		s.move(a, job.Sent, nil) // due in 10 minutes from now
		s.move(b, job.Expired, nil)
		equal(s, s.selected(job.Due(10)), []string{c.ID})
		s.Advance(10 * time.Minute)
		equal(s, s.selected(job.Due(10)), []string{c.ID, a.ID})
		s.move(never, job.Canceled, nil)
	},
	"of silent agents": func(s *suite) {
		const silence = 3 * time.Minute
		seen := func(name string, ago time.Duration) job.Job {
			a := job.Agent{ID: newID(), Space: space, Name: name, CreatedAt: s.now(), LastSeenAt: s.now().Add(-ago)}
			s.must(s.Store.CreateAgent(s.ctx, a))
			return s.create(draft(space, name, nil))
		}
		silent, online := seen("silent", silence), seen("online", silence-time.Microsecond)
		ahead := seen("seen-tomorrow", -24*time.Hour)
		s.must(s.Store.CreateAgent(s.ctx, job.Agent{ID: newID(), Space: space, Name: "never", CreatedAt: s.now()}))
		never := s.create(draft(space, "never", nil))
		removed := seen("removed", 0)
		s.must(s.Store.RemoveAgent(s.ctx, space, "removed"))
		s.create(draft(space, "never", func(j *job.Job) { j.Approval = job.ApprovalWaiting }))
		s.move(s.create(draft(space, "never", nil)), job.Sent, nil)
		s.addAgent("other", "silent")
		elsewhere := s.create(draft("other", "silent", nil))

		of := func(max int) []string { s.Helper(); return s.selected(job.OfSilentAgents(silence, max)) }
		equal(s, sorted(of(10)), sorted([]string{silent.ID, never.ID, removed.ID, ahead.ID}))
		if got := of(3); len(got) != 3 {
			s.Fatalf("%d were selected of at most 3", len(got))
		}
		_, err := s.Store.Update(s.ctx, job.OfSilentAgents(silence, 10), func(v job.View) (*job.Change, error) {
			if (v.Agent == nil) != (v.Job.Agent == "removed") {
				return nil, errors.New("the agent is missing")
			}
			return to(job.Expired, nil)(v)
		})
		s.must(err)
		equal(s, of(10), []string{})
		s.Advance(time.Microsecond)
		equal(s, of(10), []string{online.ID})
		s.Advance(silence)
		equal(s, sorted(of(10)), sorted([]string{online.ID, elsewhere.ID}))
	},
	"queuing of an agent": func(s *suite) {
		s.addAgent(space, "web-1")
		s.addAgent(space, "web-2")
		a := s.create(draft(space, "web-1", nil))
		b := s.create(draft(space, "web-1", func(j *job.Job) { j.Approval = job.ApprovalWaiting }))
		c := s.create(draft(space, "web-1", func(j *job.Job) { j.OfferedUntil = j.CreatedAt.Add(time.Minute) }))
		s.create(draft(space, "web-2", nil))
		s.move(s.create(draft(space, "web-1", nil)), job.Sent, nil)
		s.must(s.Store.RemoveAgent(s.ctx, space, "web-1"))
		equal(s, s.selected(job.QueuingOf(space, "web-1", 10)), []string{a.ID, b.ID, c.ID})
		equal(s, s.selected(job.QueuingOf(space, "web-1", 2)), []string{a.ID, b.ID})
		equal(s, s.selected(job.QueuingOf("other", "web-1", 10)), []string{})
	},
	"cancels": func(s *suite) {
		s.addAgent(space, "web-1")
		ask := func(j *job.Job) { j.CancelRequestedAt = j.CreatedAt }
		a := s.move(s.create(draft(space, "web-1", nil)), job.Sent, ask)
		s.move(s.create(draft(space, "web-1", nil)), job.Sent, nil)
		s.move(s.create(draft(space, "web-1", nil)), job.Canceled, ask)
		holds, err := s.Store.Cancels(s.ctx, space, "web-1")
		s.must(err)
		equal(s, holds, []job.Hold{{ID: a.ID, Lease: a.Lease}})
		s.move(a, job.Canceled, nil)
		for _, in := range []string{space, "other"} {
			if holds, err = s.Store.Cancels(s.ctx, in, "web-1"); err != nil || len(holds) != 0 {
				s.Fatalf("cancels of %s: %v, %v", in, holds, err)
			}
		}
	},
	"counts": func(s *suite) {
		s.addAgent(space, "web-1")
		s.addAgent("other", "web-1")
		s.create(draft(space, "web-1", nil))
		s.create(draft("other", "web-1", func(j *job.Job) { j.DueAt = time.Time{} }))
		s.move(s.create(draft(space, "web-1", nil)), job.Sent, nil)
		s.move(s.create(draft(space, "web-1", nil)), job.Failed, nil)
		counts, err := s.Store.Counts(s.ctx)
		s.must(err)
		equal(s, counts, map[job.Status]int64{job.Queuing: 2, job.Sent: 1})
	},
	"an unknown kind": func(s *suite) {
		if _, err := s.Store.Update(s.ctx, job.Selection{Kind: 99, Max: 1}, leave); err == nil {
			s.Fatal("a selection of no kind selects something")
		}
	},
}
