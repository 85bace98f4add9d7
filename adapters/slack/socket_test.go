package slack

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// both waits until there are as many connections as an account holds.
func (d *desk) both(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if d.connected(ctx, connections) == nil {
		t.Fatal("there are not two connections")
	}
}

func (d *desk) openedSoFar() int {
	d.sockets.mu.Lock()
	defer d.sockets.mu.Unlock()
	return d.opened
}

// While Slack refreshes one connection, the other goes on.
func TestRefreshLosesNothing(t *testing.T) {
	d := setup(t, ModeSocket)
	direct := chattest.Message{Conversation: 2, Text: "agents"}
	for _, reason := range []string{"warning", "refresh_requested", "too_many_websockets"} {
		d.both(t)
		before := d.openedSoFar()
		w := d.connected(t.Context(), connections)
		if err := w.send(map[string]any{"type": "disconnect", "reason": reason, "debug_info": map[string]string{"host": "applink-1"}}); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			d.takes(t, d.deliveries(direct)[0], http.StatusOK)
			if got := d.only(t); got.Text != direct.Text {
				t.Errorf("it came as %+v", got)
			}
		}
		eventually(t, func() (bool, bool) { return true, d.openedSoFar() > before })
		select {
		case <-w.gone:
		case <-time.After(15 * time.Second):
			t.Fatal("the adapter kept a connection that Slack gave up")
		}
	}
}

// A message that Slack delivers over both connections has one ID.
func TestTheSameOverBothConnections(t *testing.T) {
	d := setup(t, ModeSocket)
	d.both(t)
	same := d.deliveries(chattest.Message{Conversation: 2, Text: "agents"})[0]
	d.takes(t, same, http.StatusOK)
	first := d.only(t)
	d.takes(t, same, http.StatusOK)
	if second := d.only(t); second.ID != first.ID {
		t.Errorf("it came as %q and as %q", first.ID, second.ID)
	}
}

// Where connections end as soon as they are made, they are not made in a storm.
func TestNoStorm(t *testing.T) {
	d := setup(t, ModeSocket)
	end := time.After(time.Second)
	for over := false; !over; {
		select {
		case <-end:
			over = true
		case <-time.After(time.Millisecond):
			d.breakAll()
		}
	}
	if n := d.openedSoFar(); n > 20 {
		t.Errorf("%d connections were made in a second", n)
	}
	d.takes(t, d.deliveries(chattest.Message{Conversation: 2, Text: "agents"})[0], http.StatusOK)
	d.only(t)
}

func TestFramesThatAreNone(t *testing.T) {
	d := setup(t, ModeSocket)
	d.both(t)
	for _, frame := range []string{
		`{`, `7`, `"x"`, `[]`, `null`, `{"type":7}`, `{"type":"events_api"}`, `{"type":"events_api","payload":{}}`,
		`{"type":"slash_commands","envelope_id":"","payload":{}}`, `{"type":"interactive","envelope_id":"e1","payload":"x"}`, "\x00\xff",
	} {
		if err := d.connected(t.Context(), 1).raw([]byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	unknown := d.event(map[string]any{"type": "brand_new_event", "user": map[string]any{"id": "U1"}})
	d.takes(t, unknown, http.StatusOK) // or Slack would deliver it thrice more
	d.none(t)
	d.takes(t, d.deliveries(chattest.Message{Conversation: 2, Text: "agents"})[0], http.StatusOK)
	d.only(t)
}

// slow is an inbox that takes its time.
type slow struct {
	began, end chan struct{}
	shelf
}

func (s *slow) Accept(ctx context.Context, m chat.Inbound) error {
	close(s.began)
	<-s.end
	return s.shelf.Accept(ctx, m)
}

// What is being taken when the account ends is acknowledged all the same.
func TestEndAcknowledges(t *testing.T) {
	inbox := &slow{began: make(chan struct{}), end: make(chan struct{})}
	f := startFar(ModeSocket)(t, chat.Env{Account: "work", Inbox: inbox, Clock: time.Now}).(*far)
	f.now.Load().parting = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Adapter().Run(ctx) }()
	what := f.command(chattest.Message{Way: "slash", Text: "agents"})
	w := f.connected(t.Context(), 1)
	acked := f.await("e1")
	if err := w.send(map[string]any{"type": what.kind, "envelope_id": "e1", "payload": json.RawMessage(what.payload)}); err != nil {
		t.Fatal(err)
	}
	<-inbox.began
	cancel()
	close(inbox.end)
	select {
	case <-acked:
	case <-time.After(15 * time.Second):
		t.Error("what was taken was not acknowledged")
	}
	f.breakAll()
	if err := <-done; err != nil {
		t.Errorf("Run returned %v", err)
	}
	f.now.Load().env.HTTP.CloseIdleConnections()
}

// A token that does not work ends the account with an error that says which
// key is wrong; anything else is tried again.
func TestTokensThatDoNotWork(t *testing.T) {
	for _, c := range []struct {
		name, mode, method, answer string
		key                        string // in the error
	}{
		{"bot token", ModeSocket, "auth.test", "invalid_auth", "bot_token"},
		{"bot token revoked", ModeHTTP, "auth.test", "token_revoked", "bot_token"},
		{"app gone", ModeHTTP, "auth.test", "account_inactive", "bot_token"},
		{"app token", ModeSocket, "apps.connections.open", "invalid_auth", "app_token"},
		{"bot token for app token", ModeSocket, "apps.connections.open", "not_allowed_token_type", "app_token"},
		{"app token without its scope", ModeSocket, "apps.connections.open", "missing_scope", "app_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startFar(c.mode)(t, chat.Env{Account: "work", Inbox: &shelf{}, Clock: time.Now}).(*far)
			f.fail(c.method, c.answer)
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			err := f.Adapter().Run(ctx)
			if err == nil || !strings.HasPrefix(err.Error(), c.key+": ") || !strings.Contains(err.Error(), c.answer) {
				t.Errorf("Run returned %v, want an error about %s", err, c.key)
			}
			for _, secret := range []string{botToken, appLevelToken, signingSecret} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows a secret: %v", err)
				}
			}
			f.now.Load().env.HTTP.CloseIdleConnections()
		})
	}
}

func TestTroubleThatPasses(t *testing.T) {
	for _, method := range []string{"auth.test", "apps.connections.open"} {
		t.Run(method, func(t *testing.T) {
			f := startFar(ModeSocket)(t, chat.Env{Account: "work", Inbox: &shelf{}, Clock: time.Now}).(*far)
			f.fail(method, "internal_error")
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- f.Adapter().Run(ctx) }()
			eventually(t, func() (bool, bool) { return true, f.called(method) >= 2 })
			f.fail(method, "")
			if status, _ := f.deliver(t, f.deliveries(chattest.Message{Conversation: 2, Text: "agents"})[0]); status != http.StatusOK {
				t.Errorf("it was answered with %d", status)
			}
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run returned %v", err)
			}
			f.now.Load().env.HTTP.CloseIdleConnections()
		})
	}
}
