//go:build unix

package programs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
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

// Ready waits until the server at an address says that it is ready.
func Ready(t *testing.T, addr string) {
	t.Helper()
	Eventually(t, addr+" to be ready", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer func() { _ = a.Body.Close() }()
		if a.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(a.Body)
			return fmt.Errorf("%s: %s", a.Status, text)
		}
		return nil
	})
}

// Online waits until these agents of the server are online.
func Online(t *testing.T, c *agentapi.Client, names ...string) {
	t.Helper()
	Eventually(t, "the agents to be online", func(ctx context.Context) error {
		agents, err := c.Agents(ctx)
		for _, name := range names {
			if !slices.ContainsFunc(agents, func(a agentapi.Agent) bool { return a.Name == name && a.Online }) {
				err = errors.Join(err, fmt.Errorf("%s is not", name))
			}
		}
		return err
	})
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
