//go:build unix

package programs

import (
	"context"
	"testing"
	"time"
)

// Patience is how long a test waits for something that should come soon.
// Nothing is judged by it.
const Patience = 3 * time.Minute

// Must fails the test at once if there is an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually fails the test if try does not succeed at last.
func Eventually(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	Within(t, Patience, what, try)
}

// Within fails the test if try does not succeed in time.
func Within(t *testing.T, limit time.Duration, what string, try func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		Pause(ctx, 10*time.Millisecond)
		if ctx.Err() != nil {
			t.Fatalf("waited too long for %s: %v", what, err)
		}
	}
}

// Pause waits for d or the end of ctx.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
