//go:build !unix

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// lockFile waits until no other process holds the lock of that name, takes it
// and returns how to let go of it. The lock is the file's existence, so one
// that a dead process left must be removed by hand.
func lockFile(ctx context.Context, path string, patience time.Duration) (unlock func(), err error) {
	over := time.NewTimer(patience)
	defer over.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return func() { _ = f.Close(); _ = os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("lock the database for its migration: %w", err)
		}
		select {
		case <-again.C:
		case <-over.C:
			return nil, fmt.Errorf("another process has been bringing the database's schema up to date for %s: wait for it, or remove %s if there is none", patience, path)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
