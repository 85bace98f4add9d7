package job

import (
	"context"

	"github.com/google/uuid"
)

// removeBatch is how many jobs of a removed agent are canceled at a time.
const removeBatch = 200

// CreateAgent adds an agent to the space. Errors: *InvalidError, ErrExists.
func (s *Service) CreateAgent(ctx context.Context, space, name string) (Agent, error) {
	if err := ValidAgentName(name); err != nil {
		return Agent{}, err
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return Agent{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Agent{}, err
	}
	a := Agent{ID: id.String(), Space: space, Name: name, CreatedAt: now}
	return a, s.store.CreateAgent(ctx, a)
}

// RemoveAgent removes the agent and cancels its queuing jobs. A job that it
// runs already may still be reported by nobody and expires.
func (s *Service) RemoveAgent(ctx context.Context, space, name, by string) error {
	a, err := s.store.Agent(ctx, space, name)
	if err != nil {
		return err
	}
	if err := s.store.RemoveAgent(ctx, space, name); err != nil {
		return err
	}
	s.presence.forget(a.ID)
	s.waker.Wake(WakeAgent(space, name))
	for {
		us, err := s.update(ctx, QueuingOf(space, name, removeBatch), s.rules().removed(by))
		if err != nil || len(us) < removeBatch {
			return err
		}
	}
}

// Agent returns the agent of that name, or ErrNotFound.
func (s *Service) Agent(ctx context.Context, space, name string) (Agent, error) {
	return s.store.Agent(ctx, space, name)
}

// Agents lists the space's agents by name.
func (s *Service) Agents(ctx context.Context, space string) ([]Agent, error) {
	return s.store.Agents(ctx, space)
}

// Pause keeps the agent from taking jobs until Resume; they stay queuing.
func (s *Service) Pause(ctx context.Context, space, name, by string) error {
	return s.store.PauseAgent(ctx, space, name, by)
}

// Resume lets a paused agent take jobs again.
func (s *Service) Resume(ctx context.Context, space, name, _ string) error {
	err := s.store.PauseAgent(ctx, space, name, "")
	s.waker.Wake(WakeAgent(space, name))
	return err
}
