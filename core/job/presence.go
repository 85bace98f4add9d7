package job

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"sync"
	"time"
)

// Caller is an agent that calls, as its token says.
type Caller struct {
	Space   string
	AgentID string
	Agent   string
	// Check, unless it is nil, says why the caller's token is no longer good.
	// A poll that waited asks it before it takes a job, and answers with its
	// error.
	Check func(ctx context.Context) error
}

func (c Caller) check(ctx context.Context) error {
	if c.Check == nil {
		return nil
	}
	return c.Check(ctx)
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
	rewrite bool      // what is written is wrong
	polled  time.Time // when its instance was last seen to poll here
	polls   int       // open polls
	// toldSecond is when it was last told that a second instance polls.
	toldSecond time.Time
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
	for read := now.Sub(e.readAt).Abs() >= freshFor; ; read = true {
		if read {
			if err := s.read(ctx, e, c, now); err != nil {
				return nil, err
			}
		}
		changed, err := s.introduce(ctx, e, c, r, now)
		if err != nil {
			return nil, err
		}
		if stale := e.rewrite || now.Sub(e.written).Abs() >= s.rules().times.Extend; !changed && !stale {
			return e, nil
		}
		// What is written goes over what is there now: another node may have
		// written since this one read.
		if read {
			return e, s.write(ctx, e, r, now)
		}
	}
}

// read reads the agent again.
func (s *Service) read(ctx context.Context, e *present, c Caller, now time.Time) error {
	a, err := s.store.Agent(ctx, c.Space, c.Agent)
	if errors.Is(err, ErrNotFound) || (err == nil && a.ID != c.AgentID) {
		return ErrAgentRemoved
	}
	if err != nil {
		return err
	}
	if a.Instance != e.agent.Instance {
		e.polled = time.Time{}
	}
	e.agent, e.readAt = a, now
	if e.written.IsZero() {
		e.written = a.LastSeenAt
	}
	return nil
}

// write writes that the agent is there, and what it said of itself.
func (s *Service) write(ctx context.Context, e *present, r *PollRequest, now time.Time) error {
	at, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	e.agent.LastSeenAt = at
	if r != nil && r.Instance != "" {
		e.agent.InstanceSeenAt = at
	}
	if err := s.store.SaveAgent(ctx, e.agent); err != nil {
		return err
	}
	e.written, e.rewrite = now, false
	return nil
}

// introduce takes over what a poll says of the agent and reports whether it
// is news. A second instance is refused while the first is alive.
func (s *Service) introduce(ctx context.Context, e *present, c Caller, r *PollRequest, now time.Time) (changed bool, err error) {
	if r == nil {
		return false, nil
	}
	a := &e.agent
	if r.Instance != "" {
		if changed = a.Instance != r.Instance; changed && a.Instance != "" {
			if err := s.refuseSecond(ctx, e, c, r, now); err != nil {
				return false, err
			}
		}
		a.Instance, e.polled = r.Instance, now
	}
	if r.Version != "" && r.Version != a.Version {
		a.Version, changed = r.Version, true
	}
	if r.Commands != nil && len(r.Commands)+len(a.Commands) > 0 && !reflect.DeepEqual(r.Commands, a.Commands) {
		a.Commands, changed = r.Commands, true
	}
	return changed, nil
}

// refuseSecond returns ErrInstance while the agent's instance is alive: by
// this node's clock if it polls here, else by the store's, since the clocks of
// two nodes may differ.
func (s *Service) refuseSecond(ctx context.Context, e *present, c Caller, r *PollRequest, now time.Time) error {
	alive := !e.polled.IsZero() && now.Sub(e.polled).Abs() < s.rules().times.CheckIn
	if !alive {
		at, err := s.store.Now(ctx)
		if err != nil {
			return err
		}
		seen := e.agent.InstanceSeenAt
		alive = !seen.IsZero() && at.Sub(seen).Abs() < s.rules().times.CheckIn
	}
	if !alive {
		return nil
	}
	s.log.Warn("a second instance polls with this agent's token: is the same token in use on two servers?",
		"space", c.Space, "agent", c.Agent, "instance", r.Instance, "first", e.agent.Instance)
	if now.Sub(e.toldSecond).Abs() >= time.Hour {
		e.toldSecond = now
		s.tellSecond(ctx, e.agent)
	}
	return ErrInstance
}

// Recheck has the agent's open polls, on every node, find out whether their
// tokens are still good. Call it after one was revoked.
func (s *Service) Recheck(space, agent string) { s.waker.Wake(WakeAgent(space, agent)) }

// keepPresent records that agents with an open poll are there.
func (s *Service) keepPresent(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.seeOpen(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("could not record which agents are present", "err", err)
		}
		// The times may change while this waits.
		now := s.holding.Load()
		over := time.NewTimer(now.rules.times.Extend)
		select {
		case <-over.C:
		case <-now.replaced:
		case <-ctx.Done():
		}
		over.Stop()
	}
}

func (s *Service) seeOpen(ctx context.Context) error {
	if !s.presence.any() {
		return nil
	}
	at, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	ids := s.presence.seen(s.clock(), at, s.rules().times)
	if len(ids) == 0 {
		return nil
	}
	return s.store.Seen(ctx, ids, at)
}

func (p *presence) any() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.agents) > 0
}

// seen returns the agents with an open poll and notes that they are seen, now
// by this node's clock and at by the store's. It forgets those that have not
// been here for long.
func (p *presence) seen(now, at time.Time, t Times) (ids []string) {
	p.mu.Lock()
	all := maps.Clone(p.agents)
	p.mu.Unlock()
	for id, e := range all {
		e.mu.Lock() // for which a check-in may have to wait that waits for the store
		switch {
		case e.polls > 0:
			ids = append(ids, id)
			// After a clock was set back, the moment that is stored is in the
			// future, and Seen never moves it back: the next check-in must.
			e.rewrite = e.rewrite || now.Before(e.written) || e.agent.LastSeenAt.After(at.Add(t.Extend))
			e.polled, e.written = now, now
		case now.Sub(e.readAt) > t.Offline:
			p.drop(id)
		}
		e.mu.Unlock()
	}
	return ids
}

// drop forgets an agent, whose entry the caller holds.
func (p *presence) drop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.agents, id)
}
