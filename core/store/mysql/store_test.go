package mysql

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/internal/throwaway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(throwaway.Wrap(m)) }

// fakeClock stands still until it is advanced.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 3, 1, 9, 0, 0, 123456789, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// openTest opens a store of its own for the test, in a new database unless the
// config names one.
func openTest(t testing.TB, c Config) *Store {
	t.Helper()
	if c.DSN == "" {
		c.DSN = chat.Secret(throwaway.MariaDB(t).Database(t))
	}
	c.Migrate = true
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
