package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/store/group"
)

// errHeld: another process has the lock.
var errHeld = errors.New("another process holds the lock")

// alone are leases by a lock of the operating system.
type alone struct {
	path string

	mu     sync.Mutex
	file   *os.File // locked; nil: another process has it, or nobody asked
	closed bool
}

// Alone returns leases that cost nothing to hold, for a database that one
// process at a time works on: the first process that asks for any gets all,
// and keeps them until its store is closed or it ends, however it ends. Then
// another gets them at once. Their epoch is 0, since they are never taken from
// a process that is there.
//
// Where the system or the file system has no such locks, every process gets
// the leases.
func (s *Store) Alone() chat.Leaser { return &s.alone }

// Acquire implements chat.Leaser. ttl and the name do not matter.
func (a *alone) Acquire(context.Context, string, time.Duration) (epoch int64, held bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return 0, false, group.ErrClosed
	case a.file != nil:
		return 0, true, nil
	}
	f, err := openOrMake(a.path)
	if err != nil {
		return 0, false, fmt.Errorf("lock the database for the process that works on it: %w", err)
	}
	if err := lockNow(f); errors.Is(err, errHeld) {
		return 0, false, f.Close()
	}
	a.file = f
	return 0, true, nil
}

// Release implements chat.Leaser. The lock is kept, for it is of all leases.
func (a *alone) Release(context.Context, string) error { return nil }

func (a *alone) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.file == nil {
		return nil
	}
	f := a.file
	a.file = nil
	return f.Close()
}
