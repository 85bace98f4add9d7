package events_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/events"
)

func health(t *testing.T, a *events.Accounts, name string) events.Health {
	t.Helper()
	for _, h := range a.Health() {
		if h.Account == name {
			return h
		}
	}
	t.Fatalf("there is no account %s", name)
	return events.Health{}
}

func add(t *testing.T, a *events.Accounts, name string, c *channel) {
	t.Helper()
	if err := a.Add(events.Account{Name: name, Kind: "test", Adapter: c}); err != nil {
		t.Fatal(err)
	}
}

func TestAnAccountThatFailsIsStartedAgain(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func() error{
		"error":  func() error { return errors.New("invalid_auth") },
		"panic":  func() error { panic("invalid_auth") },
		"return": func() error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int32
				var works atomic.Bool
				bad := &channel{runs: func(ctx context.Context) error {
					runs.Add(1)
					if works.Load() {
						<-ctx.Done()
						return nil
					}
					return end()
				}}
				a := events.NewAccounts(nil, nil)
				add(t, a, "bad", bad)
				add(t, a, "good", &channel{})
				if h := health(t, a, "bad"); h.State != events.Starting {
					t.Errorf("before the start it is %s", h.State)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- a.Run(ctx) }()
				after(time.Hour)
				h := health(t, a, "bad")
				if h.State != events.Unhealthy || h.Err == "" || h.Restarts == 0 || name != "return" && !strings.Contains(h.Err, "invalid_auth") {
					t.Errorf("health: %+v", h)
				}
				if n := runs.Load(); n < 10 || n > 30 {
					t.Errorf("it was started %d times in an hour", n)
				}
				if h := health(t, a, "good"); h.State != events.Healthy || h.Restarts != 0 {
					t.Errorf("the other account: %+v", h)
				}
				works.Store(true)
				after(6 * time.Minute)
				if h := health(t, a, "bad"); h.State != events.Healthy || h.Err != "" || time.Since(h.Since) > 6*time.Minute {
					t.Errorf("once it works: %+v", h)
				}
				cancel()
				if err := <-done; err != nil {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

func TestAccountsComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := events.NewAccounts(nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		synctest.Wait()
		ended := make(chan struct{})
		add(t, a, "late", &channel{runs: func(ctx context.Context) error {
			<-ctx.Done()
			close(ended)
			return nil
		}})
		synctest.Wait()
		if h := health(t, a, "late"); h.State != events.Healthy {
			t.Errorf("it is %s", h.State)
		}
		if err := a.Add(events.Account{Name: "late", Adapter: &channel{}}); !errors.Is(err, events.ErrAccountExists) {
			t.Errorf("Add again: %v", err)
		}
		if _, ok := a.Adapter("late"); !ok {
			t.Error("it cannot be found")
		}
		if !a.Remove("late") {
			t.Error("there was nothing to remove")
		}
		<-ended
		if a.Remove("late") {
			t.Error("it was removed twice")
		}
		if _, ok := a.Adapter("late"); ok {
			t.Error("it can still be found")
		}
		a.Fault("late", errors.New("nobody")) // of an account that is no more
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
