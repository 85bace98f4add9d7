package sqlite

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job/jobtest"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/storetest"
)

func TestMain(m *testing.M) {
	beChild()
	goleak.VerifyTestMain(m)
}

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

// openTest opens a store of its own for the test.
func openTest(t *testing.T, c Config) *Store {
	t.Helper()
	if c.Path == "" {
		c.Path = filepath.Join(t.TempDir(), "skadi.db")
	}
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

func TestJobs(t *testing.T) {
	t.Parallel()
	jobtest.Run(t, func(t *testing.T) jobtest.Harness {
		clock := newClock()
		s := openTest(t, Config{Clock: clock.Now})
		return jobtest.Harness{
			Store: s, Advance: clock.Advance,
			Settle: func(t *testing.T) { storetest.Settle(t, s) },
		}
	})
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		clock := newClock()
		path := filepath.Join(t.TempDir(), "skadi.db")
		return storetest.Harness{
			Store:   openTest(t, Config{Path: path, Clock: clock.Now, Partitions: events.DefaultPartitions}),
			Advance: clock.Advance,
			Reopen: func(partitions int) (store.Store, error) {
				return Open(t.Context(), Config{Path: path, Clock: clock.Now, Partitions: partitions})
			},
		}
	})
}
