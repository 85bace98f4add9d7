package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// bot is a sender, and a far side that writes down what it is sent.
type bot struct {
	*sender
	srv *httptest.Server
	log strings.Builder
	kv  kept

	mu    sync.Mutex
	now   time.Time
	calls []call
	// answers are what a method answers, in turn; the last one stays. Without
	// any it answers as Slack does when all is well.
	answers map[string][]string
}

// call is what was sent.
type call struct {
	method string
	form   url.Values
	body   string
	header http.Header
}

func startBot(t *testing.T) *bot {
	t.Helper()
	b := &bot{now: time.Unix(1_700_000_000, 0), answers: map[string][]string{}, kv: kept{}}
	b.srv = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.srv.Close)
	made, err := New(Config{Mode: ModeHTTP, BotToken: botToken, SigningSecret: signingSecret, APIURL: b.srv.URL + "/api"}, chat.Env{
		Account: "work", HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second},
		Clock: b.clock, KV: b.kv, Logger: slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.sender = made.(pushed).sender
	return b
}

func (b *bot) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bot) forward(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// answering makes a method answer these in turn. One that is a number is a
// status.
func (b *bot) answering(method string, answers ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[method] = answers
}

func refused(code string) string { return fmt.Sprintf(`{"ok":false,"error":%q}`, code) }

func (b *bot) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	method := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, call{method, form, string(body), r.Header.Clone()})
	w.Header().Set("Content-Type", "application/json")
	if answers := b.answers[method]; len(answers) > 0 {
		if len(answers) > 1 {
			b.answers[method] = answers[1:]
		}
		var status int
		if n, _ := fmt.Sscanf(answers[0], "%d", &status); n == 1 {
			w.WriteHeader(status)
			return
		}
		if answers[0] != "" {
			_, _ = io.WriteString(w, answers[0])
			return
		}
	}
	channel := form.Get("channel")
	if isUser(channel) {
		channel = "D" + channel[1:]
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"ok": true, "channel": channel, "ts": fmt.Sprintf("1700000001.%06d", len(b.calls)),
		"file_id": "F0001", "upload_url": b.srv.URL + "/upload", "files": []map[string]string{{"id": "F0001"}},
	})
}

// made returns the calls since the last time, of a method or of all.
func (b *bot) made(method string) []call {
	b.mu.Lock()
	defer b.mu.Unlock()
	var of, rest []call
	for _, c := range b.calls {
		if method == "" || c.method == method {
			of = append(of, c)
		} else {
			rest = append(rest, c)
		}
	}
	b.calls = rest
	return of
}

// one returns the only call of a method.
func (b *bot) one(t *testing.T, method string) call {
	t.Helper()
	calls := b.made(method)
	if len(calls) != 1 {
		t.Fatalf("%s was called %d times, want once", method, len(calls))
	}
	return calls[0]
}

// none checks that a method was not called.
func (b *bot) none(t *testing.T, method string) {
	t.Helper()
	if n := len(b.made(method)); n != 0 {
		t.Errorf("%s was called %d times", method, n)
	}
}

func (b *bot) must(t *testing.T, m chat.Outbound) chat.MessageRef {
	t.Helper()
	ref, err := b.Send(t.Context(), m)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	return ref
}

// secretive checks that nothing secret is in an error or the log.
func (b *bot) secretive(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{botToken, signingSecret, "/response/secret", "/upload"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows %s: %v", secret, err)
		}
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log shows %s: %s", secret, b.log.String())
		}
	}
}

// inThread is a thread where somebody asked.
func inThread() conversation {
	return conversation{Team: teamID, Channel: "C0001", Thread: "1700000000.000001", Asked: "1700000000.000001", User: ada.User}
}

// guest is a slash command where Skadi is no member.
func (b *bot) guest() conversation {
	return conversation{
		Team: teamID, Channel: "C0009", User: ada.User, Guest: true,
		ResponseURL: b.srv.URL + "/response/secret", Until: b.clock().Add(29 * time.Minute),
	}
}

// kept is a KV in memory.
type kept map[string][]byte

func (k kept) Get(_ context.Context, key string) ([]byte, bool, error) {
	v, ok := k[key]
	return v, ok, nil
}

func (k kept) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	k[key] = value
	return nil
}

func (k kept) Delete(_ context.Context, key string) error {
	delete(k, key)
	return nil
}
