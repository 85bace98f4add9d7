package cli

import (
	"context"
	"sync"
	"time"
)

// scratch is what an adapter keeps while it is checked, and its leases, which
// nobody else wants.
type scratch struct {
	mu   sync.Mutex
	vals map[string][]byte
}

func newScratch() *scratch { return &scratch{vals: make(map[string][]byte)} }

// Get implements chat.KV.
func (s *scratch) Get(_ context.Context, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.vals[key]
	return v, ok, nil
}

// Set implements chat.KV.
func (s *scratch) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vals[key] = value
	return nil
}

// Delete implements chat.KV.
func (s *scratch) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.vals, key)
	return nil
}

// Acquire implements chat.Leaser.
func (s *scratch) Acquire(context.Context, string, time.Duration) (int64, bool, error) {
	return 1, true, nil
}

// Release implements chat.Leaser.
func (s *scratch) Release(context.Context, string) error { return nil }
