package jobtest

import (
	"errors"

	"github.com/letserverrun/skadi/core/job"
)

var spaceTests = map[string]func(*suite){
	"nothing of one is seen in another": func(s *suite) {
		const other = "other"
		s.addAgent(space, "web-1")
		theirs := s.addAgent(other, "web-2")
		key := job.Dedupe{Space: space, Scope: "token:ci", Key: "k", Digest: "d"}
		e := draft(space, "web-1", nil)
		e.Dedupe = &key
		j := s.move(s.create(e), job.Sent, func(j *job.Job) { j.CancelRequestedAt = j.SentAt })
		s.must(s.append(j, 1, "secret", roomy).Err)
		queuing := s.create(draft(space, "web-1", nil))

		for name, err := range map[string]error{
			"job":          second(s.Store.Job(s.ctx, other, j.ID)),
			"number":       second(s.Store.JobByNum(s.ctx, other, j.Num)),
			"history":      second(s.Store.History(s.ctx, other, j.ID)),
			"output":       second(s.Store.Output(s.ctx, other, j.ID, 0, 10)),
			"agent":        second(s.Store.Agent(s.ctx, other, "web-1")),
			"remove agent": s.Store.RemoveAgent(s.ctx, other, "web-1"),
			"pause agent":  s.Store.PauseAgent(s.ctx, other, "web-1", "them"),
		} {
			if !errors.Is(err, job.ErrNotFound) {
				s.Errorf("%s: %v", name, err)
			}
		}
		us, err := s.Store.Update(s.ctx, job.ByID(other, j.ID, queuing.ID), to(job.Canceled, nil))
		s.must(err)
		for _, u := range us {
			if !errors.Is(u.Err, job.ErrNotFound) || u.Job.ID != "" {
				s.Errorf("update: %+v", u)
			}
		}
		u, err := s.Store.AppendOutput(s.ctx, other, j.ID, job.OutputChunk{Seq: 2, Text: "x"}, roomy, leave)
		s.must(err)
		if !errors.Is(u.Err, job.ErrNotFound) {
			s.Errorf("output: %+v", u)
		}
		equal(s, s.list(job.Filter{Space: other}), []string{})
		equal(s, s.list(job.Filter{Space: other, Agent: "web-1"}), []string{})
		equal(s, s.list(job.Filter{Space: other, Agents: []string{"web-1"}}), []string{})
		equal(s, s.list(job.Filter{Space: other, Status: job.Queuing}), []string{})
		equal(s, s.list(job.Filter{Space: other, Sender: somebody.Principal()}), []string{})
		for _, sel := range []job.Selection{job.Claimable(other, "web-1", 10), job.QueuingOf(other, "web-1", 10)} {
			equal(s, s.selected(sel), []string{})
		}
		if holds, err := s.Store.Cancels(s.ctx, other, "web-1"); err != nil || len(holds) != 0 {
			s.Errorf("cancels: %v, %v", holds, err)
		}
		agents, err := s.Store.Agents(s.ctx, other)
		s.must(err)
		if len(agents) != 1 || agents[0].ID != theirs.ID {
			s.Errorf("agents: %+v", agents)
		}
		created, err := s.Store.Create(s.ctx, []job.Entry{draft(other, "web-1", nil)})
		s.must(err)
		if !errors.Is(created[0].Err, job.ErrUnknownAgent) {
			s.Errorf("a job for an agent of another space: %v", created[0].Err)
		}
		theirKey := key
		theirKey.Space = other
		if entered, err := s.Store.Entered(s.ctx, theirKey); err != nil || entered {
			s.Errorf("entered: %v, %v", entered, err)
		}
		same := draft(other, "web-2", nil)
		same.Dedupe = &theirKey
		s.create(same)
		// What is theirs leaves ours as it was.
		equal(s, s.job(space, queuing.ID), queuing)
	},
}
