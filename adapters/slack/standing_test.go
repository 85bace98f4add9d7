package slack

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// heard is what an adapter reports.
type heard struct {
	mu  sync.Mutex
	all []error
}

func (h *heard) report(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, err)
}

func (h *heard) last() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[len(h.all)-1]
}

func (h *heard) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

func TestStanding(t *testing.T) {
	t.Parallel()
	var s standing
	h := &heard{}
	env := chat.Env{Reported: h.report}
	refused := errors.New("connection refused")
	s.without(env, refused)
	if err := h.last(); !errors.Is(err, refused) {
		t.Errorf("it reports %v", err)
	}
	s.begun(env)
	s.begun(env)
	s.ended()
	s.without(env, nil) // the other stands
	if err := h.last(); err != nil {
		t.Errorf("it reports %v while a connection stands", err)
	}
	s.ended()
	s.without(env, nil)
	if err := h.last(); err == nil || !strings.Contains(err.Error(), "no connection to Slack") {
		t.Errorf("it reports %v", err)
	}
	s.begun(env)
	if err := h.last(); err != nil {
		t.Errorf("it reports %v", err)
	}
}

// TestRefreshIsNoTrouble has Slack refresh one connection after the other, as
// it does every few hours: one always stands, and nothing is reported.
func TestRefreshIsNoTrouble(t *testing.T) {
	h := &heard{}
	f := startFar(ModeSocket)(t, chat.Env{Account: "work", Inbox: &shelf{}, Clock: time.Now, Reported: h.report}).(*far)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Adapter().Run(ctx) }()
	d := &desk{far: f}
	d.both(t)
	eventually(t, func() (bool, bool) { return true, h.count() >= 3 }) // connecting, and each connection
	for i := range 3 {
		w := d.connected(t.Context(), connections)
		if err := w.send(map[string]any{"type": "disconnect", "reason": "refresh_requested"}); err != nil {
			t.Fatal(err)
		}
		d.both(t)
		eventually(t, func() (bool, bool) { return true, h.count() > 3+i })
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run returned %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, err := range h.all[1:] {
		if err != nil {
			t.Errorf("report %d is %v", i+1, err)
		}
	}
	f.now.Load().env.HTTP.CloseIdleConnections()
}
