//go:build unix

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockFile waits until no other process holds the lock of that name, takes it
// and returns how to let go of it. A process that dies lets go of it too.
func lockFile(ctx context.Context, path string, patience time.Duration) (unlock func(), err error) {
	f, err := openOrMake(path)
	if err != nil {
		return nil, fmt.Errorf("lock the database for its migration: %w", err)
	}
	over := time.NewTimer(patience)
	defer over.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-again.C:
		case <-over.C:
			return nil, errors.Join(fmt.Errorf("another process has been bringing the database's schema up to date for %s: wait for it and start again", patience), f.Close())
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		}
	}
}

// lockNow locks f until it is closed, or returns errHeld.
func lockNow(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errHeld
	}
	return err
}
