package jobtest

import (
	"errors"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

func (s *suite) agent(inSpace, name string) job.Agent {
	s.Helper()
	a, err := s.Store.Agent(s.ctx, inSpace, name)
	s.must(err)
	return a
}

var agentTests = map[string]func(*suite){
	"every field comes back": func(s *suite) {
		now := s.now()
		a := job.Agent{
			ID: newID(), Space: space, Name: "web-1", CreatedAt: now, LastSeenAt: now.Add(time.Microsecond),
			Instance: "i-1", InstanceSeenAt: now.Add(2 * time.Microsecond), Version: "1.2.3",
			Commands: []job.Command{{Name: "deploy", Usage: "deploy <tag>", Help: "Deploys a tag & more.", Open: true}},
		}
		s.must(s.Store.CreateAgent(s.ctx, a))
		equal(s, s.agent(space, "web-1"), a)
		if err := s.Store.CreateAgent(s.ctx, job.Agent{ID: newID(), Space: space, Name: "web-1"}); !errors.Is(err, job.ErrExists) {
			s.Fatalf("the same name again: %v", err)
		}
		s.must(s.Store.CreateAgent(s.ctx, job.Agent{ID: newID(), Space: "other", Name: "web-1"}))
		s.must(s.Store.CreateAgent(s.ctx, job.Agent{ID: newID(), Space: space, Name: "db-1"}))
		agents, err := s.Store.Agents(s.ctx, space)
		s.must(err)
		if len(agents) != 2 || agents[0].Name != "db-1" || agents[1].ID != a.ID {
			s.Fatalf("the agents are %+v", agents)
		}
	},
	"what it says of itself": func(s *suite) {
		s.addAgent(space, "web-1")
		s.must(s.Store.PauseAgent(s.ctx, space, "web-1", "somebody"))
		a := s.agent(space, "web-1")
		a.Instance, a.InstanceSeenAt, a.Version = "i-2", s.now().Add(time.Second), "2.0"
		a.LastSeenAt = s.now().Add(time.Minute)
		a.Commands = []job.Command{{Name: "status"}}
		saved := a
		saved.Name, saved.PausedBy, saved.PausedAt = "another", "", time.Time{} // not its to say
		s.must(s.Store.SaveAgent(s.ctx, saved))
		equal(s, s.agent(space, "web-1"), a)
		a.Commands = nil
		s.must(s.Store.SaveAgent(s.ctx, a))
		equal(s, s.agent(space, "web-1"), a)
	},
	"seen never goes back": func(s *suite) {
		a, b := s.addAgent(space, "web-1"), s.addAgent("other", "web-1")
		start := s.now()
		later := start.Add(time.Minute)
		s.must(s.Store.Seen(s.ctx, []string{a.ID, newID(), b.ID}, later))
		s.must(s.Store.Seen(s.ctx, []string{a.ID}, start))
		s.must(s.Store.Seen(s.ctx, nil, start))
		for _, in := range []string{space, "other"} {
			if got := s.agent(in, "web-1").LastSeenAt; !got.Equal(later) {
				s.Fatalf("seen at %s, want %s", got, later)
			}
		}
		// What Admit sees is as new.
		s.must(s.Store.Seen(s.ctx, []string{a.ID}, later.Add(time.Second)))
		e := draft(space, "web-1", nil)
		admit := e.Admit
		e.Admit = func(now time.Time, d job.Draft, agent *job.Agent) (job.Job, []job.Event, error) {
			if !agent.LastSeenAt.Equal(later.Add(time.Second)) {
				return job.Job{}, nil, errors.New("admit sees an old agent")
			}
			return admit(now, d, agent)
		}
		s.create(e)
	},
	"remove and make again": func(s *suite) {
		old := s.addAgent(space, "web-1")
		j := s.create(draft(space, "web-1", nil))
		s.must(s.Store.RemoveAgent(s.ctx, space, "web-1"))
		if _, err := s.Store.Agent(s.ctx, space, "web-1"); !errors.Is(err, job.ErrNotFound) {
			s.Fatalf("a removed agent: %v", err)
		}
		if agents, err := s.Store.Agents(s.ctx, space); err != nil || len(agents) != 0 {
			s.Fatalf("the agents are %+v, %v", agents, err)
		}
		for name, err := range map[string]error{
			"remove": s.Store.RemoveAgent(s.ctx, space, "web-1"),
			"pause":  s.Store.PauseAgent(s.ctx, space, "web-1", "x"),
		} {
			if !errors.Is(err, job.ErrNotFound) {
				s.Errorf("%s a removed agent: %v", name, err)
			}
		}
		if err := s.Store.SaveAgent(s.ctx, old); !errors.Is(err, job.ErrAgentRemoved) {
			s.Fatalf("save a removed agent: %v", err)
		}
		created, err := s.Store.Create(s.ctx, []job.Entry{draft(space, "web-1", nil)})
		s.must(err)
		if !errors.Is(created[0].Err, job.ErrUnknownAgent) {
			s.Fatalf("a job for a removed agent: %v", created[0].Err)
		}
		again := s.addAgent(space, "web-1")
		if got := s.agent(space, "web-1"); got.ID != again.ID || !got.RemovedAt.IsZero() {
			s.Fatalf("the new agent is %+v", got)
		}
		s.must(s.Store.Seen(s.ctx, []string{old.ID}, s.now().Add(time.Hour)))
		if got := s.agent(space, "web-1"); !got.LastSeenAt.Equal(again.LastSeenAt) {
			s.Fatal("the old agent's word counted for the new one")
		}
		equal(s, s.selected(job.Claimable(space, "web-1", 10)), []string{j.ID})
	},
	"pause": func(s *suite) {
		s.addAgent(space, "web-1")
		s.Advance(time.Second)
		s.must(s.Store.PauseAgent(s.ctx, space, "web-1", "work-slack:T0123/U0456"))
		if a := s.agent(space, "web-1"); a.PausedBy != "work-slack:T0123/U0456" || !a.PausedAt.Equal(s.now()) {
			s.Fatalf("paused: %+v", a)
		}
		s.must(s.Store.PauseAgent(s.ctx, space, "web-1", ""))
		if a := s.agent(space, "web-1"); a.PausedBy != "" || !a.PausedAt.IsZero() {
			s.Fatalf("resumed: %+v", a)
		}
	},
}
