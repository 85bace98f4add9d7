package job

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"
)

// Caller is an agent that calls, as its token says.
type Caller struct {
	Space   string
	AgentID string
	Agent   string
}

// freshFor is how long an agent's row is taken as read, so that a removal or
// rotation on another node is noticed within that time.
const freshFor = time.Second

// presence remembers which agents were seen, so that saying so again costs a
// write only now and then.
type presence struct {
	mu     sync.Mutex
	agents map[string]*present // by agent ID
}

// present is what one node knows of one agent.
type present struct {
	mu      sync.Mutex
	agent   Agent
	readAt  time.Time
	written time.Time // when LastSeenAt was last written
	polls   int       // open polls
}

func (p *presence) of(id string) *present {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.agents[id]
	if e == nil {
		e = &present{}
		p.agents[id] = e
	}
	return e
}

func (p *presence) forget(id string) {
	p.of(id).reread()
}

func (e *present) reread() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readAt = time.Time{}
}

// open counts a poll until the returned function is called.
func (e *present) open() (closed func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.polls++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.polls--
	}
}

// CheckIn records that the agent called. Errors: ErrAgentRemoved, or the
// store's.
func (s *Service) CheckIn(ctx context.Context, c Caller) error {
	_, err := s.checkIn(ctx, c, nil)
	return err
}

// checkIn records that the agent called and what its poll said of it.
func (s *Service) checkIn(ctx context.Context, c Caller, r *PollRequest) (*present, error) {
	e := s.presence.of(c.AgentID)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := s.clock()
	if now.Sub(e.readAt).Abs() >= freshFor {
		a, err := s.store.Agent(ctx, c.Space, c.Agent)
		if errors.Is(err, ErrNotFound) || (err == nil && a.ID != c.AgentID) {
			return nil, ErrAgentRemoved
		}
		if err != nil {
			return nil, err
		}
		// What this node saw itself may be newer than what it wrote.
		a.InstanceSeenAt = later(a.InstanceSeenAt, e.agent.InstanceSeenAt, a.Instance == e.agent.Instance)
		e.agent, e.readAt = a, now
		if e.written.IsZero() {
			e.written = a.LastSeenAt
		}
	}
	changed, err := s.introduce(e, c, r, now)
	if err != nil {
		return nil, err
	}
	stale := now.Sub(e.written).Abs() >= s.rules.times.Extend
	if !changed && !stale {
		return e, nil
	}
	at, err := s.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	e.agent.LastSeenAt = at
	if err := s.store.SaveAgent(ctx, e.agent); err != nil {
		return nil, err
	}
	e.written = now
	return e, nil
}

func later(a, b time.Time, same bool) time.Time {
	if same && b.After(a) {
		return b
	}
	return a
}

// introduce takes over what a poll says of the agent and reports whether it
// is news. A second instance is refused while the first is alive.
func (s *Service) introduce(e *present, c Caller, r *PollRequest, now time.Time) (changed bool, err error) {
	if r == nil {
		return false, nil
	}
	a := &e.agent
	if r.Instance != "" {
		if a.Instance != "" && a.Instance != r.Instance && now.Sub(a.InstanceSeenAt).Abs() < s.rules.times.CheckIn {
			s.log.Warn("a second instance polls with this agent's token: is the same token in use on two servers?",
				"space", c.Space, "agent", c.Agent, "instance", r.Instance, "first", a.Instance)
			return false, ErrInstance
		}
		changed = a.Instance != r.Instance
		a.Instance, a.InstanceSeenAt = r.Instance, now
	}
	if r.Version != "" && r.Version != a.Version {
		a.Version, changed = r.Version, true
	}
	if r.Commands != nil && len(r.Commands)+len(a.Commands) > 0 && !reflect.DeepEqual(r.Commands, a.Commands) {
		a.Commands, changed = r.Commands, true
	}
	return changed, nil
}

// keepPresent records that agents with an open poll are there.
func (s *Service) keepPresent(ctx context.Context) {
	every(ctx, s.rules.times.Extend, func(ctx context.Context) {
		if err := s.seeOpen(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("could not record which agents are present", "err", err)
		}
	})
}

func (s *Service) seeOpen(ctx context.Context) error {
	now := s.clock()
	var ids []string
	s.presence.mu.Lock()
	for id, e := range s.presence.agents {
		e.mu.Lock()
		switch {
		case e.polls > 0:
			ids = append(ids, id)
			e.agent.InstanceSeenAt = now
			// After the clock was set back the stored moment is in the future,
			// and Seen never moves it back: the next check-in must do so.
			if !now.Before(e.written) {
				e.written = now
			}
		case now.Sub(e.readAt) > s.rules.times.Offline:
			delete(s.presence.agents, id)
		}
		e.mu.Unlock()
	}
	s.presence.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	at, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	return s.store.Seen(ctx, ids, at)
}
