package slack

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// Strangers can call as often as they like, and fill no log.
func TestStrangersFillNoLog(t *testing.T) {
	t.Parallel()
	now, log := time.Now(), &bytes.Buffer{}
	made, err := New(Config{Mode: ModeHTTP, BotToken: botToken, SigningSecret: signingSecret},
		chat.Env{Account: "work", Clock: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	call := func(body string, want int) {
		w := httptest.NewRecorder()
		made.(pushed).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(body)))
		if w.Code != want {
			t.Errorf("it was answered with %d, want %d", w.Code, want)
		}
	}
	long := strings.Repeat(" ", maxBody+1)
	for range 20 {
		call("{}", http.StatusUnauthorized)
		call(long, http.StatusRequestEntityTooLarge)
	}
	now = now.Add(chat.StrangersEvery + time.Second)
	call("{}", http.StatusUnauthorized)
	call(long, http.StatusRequestEntityTooLarge)
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "signing_secret") {
		t.Errorf("%d lines were logged, want 2:\n%s", n, log)
	}
}

// everybody sees one agent.
type everybody struct{ asked chan chat.Sender }

func (e everybody) Overview(_ context.Context, who chat.Sender, _ []string) (chat.Overview, error) {
	e.asked <- who
	return chat.Overview{Agents: []chat.AgentState{{Name: "web-1", Online: true}}}, nil
}

// Whoever opens their page sees what they may see, and nobody else's.
func TestPageOpened(t *testing.T) {
	viewer := everybody{asked: make(chan chat.Sender, 10)}
	f := startFar(ModeHTTP)(t, chat.Env{Account: chattest.Account, Inbox: &shelf{}, Clock: time.Now, Viewer: viewer}).(*far)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Adapter().Run(ctx) }()
	open := func(tab string) {
		status, _ := f.deliver(t, f.event(map[string]any{"type": "app_home_opened", "user": person(1), "channel": "D0001", "tab": tab, "event_ts": "1.2"}))
		if status != http.StatusOK {
			t.Errorf("it was answered with %d", status)
		}
	}
	open("messages")
	open("home")
	if who := <-viewer.asked; who.Principal() != "work:T0001/U0001" {
		t.Errorf("the page of %s was drawn", who.Principal())
	}
	eventually(t, func() (bool, bool) { return true, f.called("views.publish") == 1 })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run returned %v", err)
	}
	if len(viewer.asked) != 0 {
		t.Error("a page was drawn that nobody opened")
	}
	f.now.Load().env.HTTP.CloseIdleConnections()
}
