package jobtest

import (
	"slices"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// stirredTests are of what a node asks for all that wait there.
var stirredTests = map[string]func(*suite){
	"agents with a claimable job": func(s *suite) {
		stirred := func() []string {
			s.Helper()
			refs, err := s.Store.Stirred(s.ctx, 100)
			s.must(err)
			names := []string{}
			for _, r := range refs {
				names = append(names, r.Space+"/"+r.Name)
			}
			return names
		}
		for _, name := range []string{"done", "idle", "offered", "paused", "removed", "waiting", "web-1", "web-2"} {
			s.addAgent(space, name)
		}
		s.addAgent("other", "web-1")
		equal(s, stirred(), []string{})
		first := s.create(draft(space, "web-1", nil))
		s.create(draft(space, "web-1", nil))
		s.create(draft(space, "web-2", func(j *job.Job) { j.Approval = job.ApprovalGranted }))
		s.create(draft("other", "web-1", nil))
		s.create(draft(space, "waiting", func(j *job.Job) { j.Approval = job.ApprovalWaiting }))
		s.create(draft(space, "offered", func(j *job.Job) {
			j.Lease, j.Attempt, j.OfferedUntil = "l", 1, j.CreatedAt.Add(30*time.Second)
		}))
		s.create(draft(space, "paused", nil))
		s.must(s.Store.PauseAgent(s.ctx, space, "paused", "somebody"))
		s.create(draft(space, "removed", nil))
		s.must(s.Store.RemoveAgent(s.ctx, space, "removed"))
		s.move(s.create(draft(space, "done", nil)), job.Sent, nil)
		equal(s, stirred(), []string{"default/web-1", "default/web-2", "other/web-1"})

		// What is on offer may be taken again once the offer is over.
		s.Advance(30 * time.Second)
		equal(s, stirred(), []string{"default/offered", "default/web-1", "default/web-2", "other/web-1"})
		refs, err := s.Store.Stirred(s.ctx, 2)
		s.must(err)
		equal(s, refs, []job.AgentRef{{Space: space, Name: "offered"}, {Space: space, Name: "web-1"}})

		s.move(first, job.Sent, nil)
		s.must(s.Store.PauseAgent(s.ctx, space, "paused", ""))
		equal(s, stirred(), []string{"default/offered", "default/paused", "default/web-1", "default/web-2", "other/web-1"})
	},
	"agents with a cancel": func(s *suite) {
		s.addAgent(space, "web-1")
		s.addAgent(space, "web-2")
		ask := func(j *job.Job) { j.CancelRequestedAt = j.CreatedAt }
		a := s.move(s.create(draft(space, "web-1", nil)), job.Sent, ask)
		s.move(s.create(draft(space, "web-1", nil)), job.Sent, ask)
		s.move(s.create(draft(space, "web-2", nil)), job.Sent, nil)
		s.move(s.create(draft(space, "web-2", nil)), job.Canceled, ask)
		stirred := func() []job.AgentRef {
			s.Helper()
			refs, err := s.Store.Stirred(s.ctx, 100)
			s.must(err)
			return refs
		}
		equal(s, stirred(), []job.AgentRef{{Space: space, Name: "web-1"}})
		s.create(draft(space, "web-1", nil))
		equal(s, stirred(), []job.AgentRef{{Space: space, Name: "web-1"}}) // once
		s.move(a, job.Succeeded, nil)
		equal(s, stirred(), []job.AgentRef{{Space: space, Name: "web-1"}})
	},
	"cancels are those of the agent, not of its predecessor": func(s *suite) {
		s.addAgent(space, "web-1")
		ask := func(j *job.Job) { j.CancelRequestedAt = j.CreatedAt }
		s.move(s.create(draft(space, "web-1", nil)), job.Sent, ask)
		s.must(s.Store.RemoveAgent(s.ctx, space, "web-1"))
		cancels := func() []job.Hold {
			s.Helper()
			holds, err := s.Store.Cancels(s.ctx, space, "web-1")
			s.must(err)
			return holds
		}
		stirred := func() int {
			s.Helper()
			refs, err := s.Store.Stirred(s.ctx, 100)
			s.must(err)
			return len(refs)
		}
		equal(s, len(cancels()), 0)
		equal(s, stirred(), 0)
		s.Advance(time.Second)
		s.addAgent(space, "web-1")
		equal(s, len(cancels()), 0)
		equal(s, stirred(), 0)
		own := s.move(s.create(draft(space, "web-1", nil)), job.Sent, ask)
		equal(s, cancels(), []job.Hold{{ID: own.ID, Lease: own.Lease}})
		equal(s, stirred(), 1)
	},
	"marks": func(s *suite) {
		s.addAgent(space, "web-1")
		s.addAgent("other", "web-1")
		a, b := s.create(draft(space, "web-1", nil)), s.create(draft("other", "web-1", nil))
		marks := func(ids ...string) []job.Mark {
			s.Helper()
			all, err := s.Store.Marks(s.ctx, ids)
			s.must(err)
			slices.SortFunc(all, func(x, y job.Mark) int { return strings.Compare(x.ID, y.ID) })
			return all
		}
		want := []job.Mark{{ID: a.ID, Version: 1}, {ID: b.ID, Version: 1}}
		slices.SortFunc(want, func(x, y job.Mark) int { return strings.Compare(x.ID, y.ID) })
		equal(s, marks(b.ID, newID(), a.ID), want)
		equal(s, len(marks()), 0)
		equal(s, len(marks("no such job")), 0)

		a = s.move(a, job.Sent, nil)
		equal(s, marks(a.ID), []job.Mark{{ID: a.ID, Version: a.Version}})
		for seq := range int64(3) {
			_, err := s.Store.AppendOutput(s.ctx, space, a.ID, job.OutputChunk{Seq: seq + 1, Text: "x", At: s.now()}, 100, leave)
			s.must(err)
			equal(s, marks(a.ID), []job.Mark{{ID: a.ID, Version: a.Version, OutputSeq: seq + 1}})
		}
		a = s.move(a, job.Succeeded, nil)
		equal(s, marks(a.ID), []job.Mark{{ID: a.ID, Version: a.Version, OutputSeq: 3}})

		ids := []string{a.ID, b.ID}
		for range 2000 {
			ids = append(ids, newID())
		}
		equal(s, len(marks(ids...)), 2)
	},
	"an instance is seen with its agent": func(s *suite) {
		named, plain := s.addAgent(space, "web-1"), s.addAgent(space, "web-2")
		start := s.now()
		named.Instance, named.InstanceSeenAt = "i1", start.Add(-time.Minute)
		s.must(s.Store.SaveAgent(s.ctx, named))
		seen := func(at time.Time) { s.Helper(); s.must(s.Store.Seen(s.ctx, []string{named.ID, plain.ID}, at)) }
		check := func(name string, last, instance time.Time) {
			s.Helper()
			a, err := s.Store.Agent(s.ctx, space, name)
			s.must(err)
			if !a.LastSeenAt.Equal(last) || !a.InstanceSeenAt.Equal(instance) {
				s.Fatalf("%s was seen at %s, its instance at %s; want %s and %s", name, a.LastSeenAt, a.InstanceSeenAt, last, instance)
			}
		}
		seen(start) // the agent was seen then, but not its instance
		check("web-1", start, start)
		check("web-2", start, time.Time{})
		seen(start.Add(time.Minute))
		check("web-1", start.Add(time.Minute), start.Add(time.Minute))
		check("web-2", start.Add(time.Minute), time.Time{})
		seen(start)
		check("web-1", start.Add(time.Minute), start.Add(time.Minute))
	},
}
