package job

import "context"

// SeeOpen records once that agents with an open poll are there.
func (s *Service) SeeOpen(ctx context.Context) error { return s.seeOpen(ctx) }

// Held counts the jobs of which the words of agents are remembered.
func (s *Service) Held() int {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	return len(s.held.word)
}
