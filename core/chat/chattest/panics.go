package chattest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

// runPanics checks that a bug which shows in one message does not end the
// process, nor the adapter, and that the message does not count as taken.
func runPanics(t *testing.T, h Harness) {
	for _, way := range h.askings() {
		t.Run(wayName(way), func(t *testing.T) {
			s := start(t, h)
			m := Message{Way: way, Text: "local hello"}
			s.inbox.panics(true)
			r, inHandler := s.sayGuarded(t, m)
			if s.inbox.count() == 0 {
				t.Fatal("the message was not handed in")
			}
			if r.Taken && r.Told == "" {
				t.Error("a message whose handling panicked counts as taken, and nobody was told")
			}
			s.noSecret(t, "what the asker was told", r.Told)
			if !inHandler {
				s.isGuarded(t)
			}
			s.inbox.panics(false)
			again := Message{Way: way, Text: "local hello again"}
			s.sameAs(t, s.said(t, again), s.Expect(again))
		})
	}
}

// sayGuarded has somebody write. Where that is a call to the adapter's handler,
// the panic may come out of it, for there the host guards it.
func (s *setup) sayGuarded(t *testing.T, m Message) (r Receipt, inHandler bool) {
	t.Helper()
	far, calls := s.Far.(Requests)
	pushed, isPushed := s.Adapter().(chat.Pushed)
	var call *http.Request
	if calls && isPushed {
		call = far.Request(t, m)
	}
	if call == nil {
		within(t, "Say", func() { r = s.Say(t, m) })
		return r, false
	}
	w := httptest.NewRecorder()
	within(t, "the handler", func() {
		defer func() {
			p := recover()
			if inHandler = p != nil; inHandler && fmt.Sprint(p) != oops {
				panic(p) // another bug
			}
		}()
		pushed.Handler().ServeHTTP(w, call)
	})
	return Receipt{Taken: !inHandler && w.Code/100 == 2, Told: w.Body.String()}, inHandler
}

// isGuarded checks that a panic was counted, and can be found in the log.
func (s *setup) isGuarded(t *testing.T) {
	t.Helper()
	if s.panicked.Load() == 0 {
		t.Error("the panic was not counted; handle each message under Env.Guard")
	}
	if log := s.log.String(); !strings.Contains(log, oops) || !strings.Contains(log, "host.go") {
		t.Errorf("the log does not say what panicked and where:\n%s", log)
	}
}
