package events_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
)

// TestReplace puts another adapter in an account's place while the first one
// takes its time to end: two of them never receive at once, and no other
// account is disturbed.
func TestReplace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most, otherRuns atomic.Int32
		slow := func() *channel {
			return &channel{runs: func(ctx context.Context) error {
				n := running.Add(1)
				most.Store(max(most.Load(), n))
				<-ctx.Done()
				time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
				running.Add(-1)
				return nil
			}}
		}
		a := events.NewAccounts(nil, nil)
		if a.Replace(events.Account{Name: "work", Adapter: slow()}) {
			t.Error("replaced an account that is not there")
		}
		add(t, a, "work", slow())
		add(t, a, "other", &channel{runs: func(ctx context.Context) error { otherRuns.Add(1); <-ctx.Done(); return nil }})
		early := slow()
		if !a.Replace(events.Account{Name: "work", Kind: "test", Adapter: early}) {
			t.Error("not replaced before Run")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		synctest.Wait()
		if got, _ := a.Adapter("work"); got != early || running.Load() != 1 {
			t.Errorf("%d run", running.Load())
		}
		late := slow()
		var replaced sync.WaitGroup
		replaced.Go(func() { a.Replace(events.Account{Name: "work", Kind: "test", Adapter: late}) })
		synctest.Wait()
		if got, ok := a.Adapter("work"); !ok || got != late {
			t.Error("what is to be sent does not go to the new adapter at once")
		}
		if !a.Receiving("work") {
			t.Error("the account takes nothing in meanwhile")
		}
		// Many at once: the last one wins, and one runs.
		for range 20 {
			replaced.Go(func() { a.Replace(events.Account{Name: "work", Kind: "test", Adapter: slow()}) })
		}
		replaced.Wait()
		synctest.Wait()
		if running.Load() != 1 || most.Load() != 1 || otherRuns.Load() != 1 {
			t.Errorf("%d run, at most %d at once; the other account began %d times", running.Load(), most.Load(), otherRuns.Load())
		}
		if h := health(t, a, "work"); h.State != events.Healthy {
			t.Errorf("%+v", h)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestRenew changes an account's token while its replies wait because of the
// old one: they are told at once.
func TestRenew(t *testing.T) {
	t.Parallel()
	in(t, editing, func(t *testing.T, s *system) {
		s.failing(func(chat.Outbound) error { return class(chat.Auth, 0) })
		s.say("C1", "a", "one")
		after(24 * time.Hour)
		s.say("C2", "b", "two")
		after(time.Second)
		good := &channel{caps: editing}
		s.accounts.Replace(events.Account{Name: "work", Kind: "test", Adapter: good})
		s.replier.Renew("work")
		after(time.Second)
		if got := good.looks(); len(got) != 2 || len(s.given()) != 0 || s.open() != 0 {
			t.Errorf("told %q, given up %v, open %d", got, s.given(), s.open())
		}
		if h := s.accounts.Health()[0]; h.State != events.Healthy || h.Err != "" {
			t.Errorf("health: %+v", h)
		}
	})
}
