package chattest

import (
	"context"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

func runLifetime(t *testing.T, h Harness) {
	t.Run("EndsWithItsContext", func(t *testing.T) {
		s := start(t, h)
		s.stop()
		s.inbox.none(t)
	})
	t.Run("EndsBeforeItBegins", func(t *testing.T) {
		s := prepare(t, h)
		s.Far = h.Start(t, s.env)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		within(t, "Run", func() {
			if err := s.Adapter().Run(ctx); err != nil {
				t.Errorf("Run returned %v, want nil", err)
			}
		})
	})
	t.Run("IsNeverRun", func(t *testing.T) {
		s := prepare(t, h)
		s.Far = h.Start(t, s.env)
	})
	t.Run("RunsAgain", func(t *testing.T) {
		if h.RunsOnce {
			t.Skip("the adapter runs once")
		}
		s := start(t, h)
		for range 2 {
			s.stop()
			s.stop = s.run(t, s.Adapter())
			m := Message{Text: "local hello"}
			s.sameAs(t, s.said(t, m), s.Expect(m))
		}
	})
	t.Run("SendsAfterRunHasEnded", func(t *testing.T) {
		s := start(t, h)
		to := s.conversation(t, 0)
		s.stop()
		within(t, "Send", func() {
			if _, err := s.Adapter().Send(t.Context(), outbound("a", to, "hello")); err != nil {
				s.noSecret(t, "an error", err.Error())
			}
		})
	})
	t.Run("Reconnects", func(t *testing.T) {
		s := start(t, h)
		far, ok := s.Far.(Breaks)
		if !ok {
			t.Skip("the adapter holds no connection open")
		}
		for range 3 {
			far.Break(t)
			m := Message{Text: "local hello"}
			s.sameAs(t, s.said(t, m), s.Expect(m))
		}
		s.reports.works(t)
	})
	t.Run("CapabilitiesNeverChange", func(t *testing.T) {
		s := start(t, h)
		first := s.Adapter().Capabilities()
		s.send(t, outbound("a", s.conversation(t, 0), "hello"))
		if second := s.Adapter().Capabilities(); second != first {
			t.Errorf("the capabilities were %+v, and are %+v", first, second)
		}
		if far, ok := s.Far.(Restarts); ok {
			s.stop()
			if second := far.Restart(t, s.env).Capabilities(); second != first {
				t.Errorf("the capabilities were %+v, and are %+v after a restart", first, second)
			}
		}
	})
	t.Run("Locked", func(t *testing.T) { locked(t, h) })
	t.Run("Unreachable", func(t *testing.T) { unreachable(t, h) })
}

// locked checks what becomes of an account whose credentials do not work, and
// that it works once they do.
func locked(t *testing.T, h Harness) {
	s := start(t, h)
	far, ok := s.Far.(Locks)
	if !ok {
		t.Skip("the channel has no credentials")
	}
	to := s.conversation(t, 0)
	far.Lock(t, true)
	_, err := s.Adapter().Send(t.Context(), outbound("a", to, "hello there"))
	s.isClass(t, err, trial{classes: []chat.Class{chat.Auth}})
	s.stop()

	if next, ok := s.Far.(Restarts); ok { // it may have logged in before
		next.Restart(t, s.env)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Adapter().Run(ctx) }()
	_, err = s.Adapter().Send(t.Context(), outbound("a", to, "hello there"))
	s.isClass(t, err, trial{classes: []chat.Class{chat.Auth}})
	if h.RunsOnce {
		return
	}
	far.Lock(t, false)
	cancel()
	select {
	case err := <-done:
		if err != nil {
			s.noSecret(t, "an error", err.Error())
		}
	case <-time.After(patience):
		t.Fatal("Run did not return after its context ended")
	}
	s.stop = s.run(t, s.Adapter())
	to = s.conversation(t, 0)
	s.clock.forward(time.Hour)
	s.send(t, outbound("a", to, "hello there"))
	s.shows(t, 0, "hello there")
}
