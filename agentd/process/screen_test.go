package process_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen collects output, and tells when there is more.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newScreen() *screen { return &screen{more: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until the output has a part so many times.
func (s *screen) await(t *testing.T, part string, times int) {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for strings.Count(s.String(), part) < times {
		select {
		case <-s.more:
		case <-timeout:
			t.Fatalf("waited too long for %d of %q, got %q", times, part, s.String())
		}
	}
}
