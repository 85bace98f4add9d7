package email

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const clientSecret = "the-secret-of-the-client"

// tokenFar gives out tokens.
type tokenFar struct {
	*httptest.Server

	mu     sync.Mutex
	asked  []map[string]string
	status int    // instead of a token
	answer string // with that status
	renew  string // the refresh token that comes with each token
}

func startTokens(t *testing.T) *tokenFar {
	t.Helper()
	f := &tokenFar{}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *tokenFar) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	f.mu.Lock()
	defer f.mu.Unlock()
	got := map[string]string{}
	for name := range r.PostForm {
		got[name] = r.PostForm.Get(name)
	}
	f.asked = append(f.asked, got)
	w.Header().Set("Content-Type", "application/json")
	if f.status != 0 {
		w.Header().Set("Location", "https://elsewhere.example/")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(f.status)
		_, _ = fmt.Fprint(w, f.answer)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": fmt.Sprintf("token-%d", len(f.asked)), "token_type": "Bearer", "expires_in": 3600, "refresh_token": f.renew,
	})
}

func (f *tokenFar) calls() []map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *tokenFar) fails(status int, answer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status, f.answer = status, answer
}

func (f *tokenFar) oauth() OAuth {
	return OAuth{TokenURL: f.URL, ClientID: "id", ClientSecret: clientSecret, Scopes: []string{"mail", "offline"}}
}

// envOf is a host whose clock can be put forward.
func envOf(shared *memory, ahead *time.Duration) chat.Env {
	return chat.Env{
		Account: "inbox", KV: shared, Lease: shared, HTTP: &http.Client{}, Logger: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return time.Now().Add(*ahead) },
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	far, shared, ahead := startTokens(t), newMemory(), new(time.Duration)
	a, b := newTokens(far.oauth(), envOf(shared, ahead)), newTokens(far.oauth(), envOf(shared, ahead))
	get := func(who *tokens, want string) {
		t.Helper()
		if got, _, err := who.get(t.Context()); got != want || err != nil {
			t.Errorf("the token is %q (%v), want %q", got, err, want)
		}
	}
	get(a, "token-1")
	get(b, "token-1") // of the other node
	if got := far.calls()[0]; got["grant_type"] != "client_credentials" || got["client_secret"] != clientSecret || got["scope"] != "mail offline" {
		t.Errorf("it was asked for with %v", got)
	}
	*ahead = 59*time.Minute + 30*time.Second
	get(b, "token-2")
	get(a, "token-2")
	if err := a.drop(t.Context(), "token-1"); err != nil { // refused late, and not the newest
		t.Error(err)
	}
	get(b, "token-2")
	if err := a.drop(t.Context(), "token-2"); err != nil {
		t.Error(err)
	}
	get(b, "token-3")
	for name, change := range map[string]func(o *OAuth){
		"another secret": func(o *OAuth) { o.ClientSecret = "new" }, "another scope": func(o *OAuth) { o.Scopes = nil },
	} {
		o := far.oauth()
		change(&o)
		if newTokens(o, envOf(shared, ahead)).name == a.name {
			t.Errorf("%s is taken for the same", name)
		}
	}
}

// Many nodes that need a token ask for one.
func TestTokensAreAskedForOnce(t *testing.T) {
	t.Parallel()
	far, shared, ahead := startTokens(t), newMemory(), new(time.Duration)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, _, err := newTokens(far.oauth(), envOf(shared, ahead)).get(t.Context()); got != "token-1" || err != nil {
				t.Errorf("the token is %q (%v)", got, err)
			}
		})
	}
	wg.Wait()
	if n := len(far.calls()); n != 1 {
		t.Errorf("%d tokens were asked for", n)
	}
}

func TestRefreshToken(t *testing.T) {
	t.Parallel()
	far, shared, ahead := startTokens(t), newMemory(), new(time.Duration)
	far.renew = "second"
	o := far.oauth()
	o.RefreshToken = "first"
	for range 2 {
		if _, _, err := newTokens(o, envOf(shared, ahead)).get(t.Context()); err != nil {
			t.Fatal(err)
		}
		*ahead += 2 * time.Hour
	}
	got := far.calls()
	if len(got) != 2 || got[0]["grant_type"] != "refresh_token" || got[0]["refresh_token"] != "first" || got[1]["refresh_token"] != "second" {
		t.Errorf("it was asked for with %v", got)
	}
}

func TestTokenRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		answer string
		want   chat.Class
		says   string
	}{
		"wrong secret":        {401, `{"error":"invalid_client","error_description":"` + clientSecret + `"}`, chat.Auth, "invalid_client"},
		"withdrawn":           {400, `{"error":"invalid_grant"}`, chat.Auth, "invalid_grant"},
		"a page":              {403, clientSecret, chat.Auth, "403"},
		"a code that is none": {400, `{"error":"` + clientSecret + `"}`, chat.Auth, "400"},
		"busy":                {503, `{"error":"temporarily_unavailable"}`, chat.Temporary, "503"},
		"too often":           {429, ``, chat.RateLimited, "429"},
		"redirected":          {307, ``, chat.Temporary, "307"},
		"nothing in it":       {200, `{}`, chat.Temporary, "gave none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far, ahead := startTokens(t), new(time.Duration)
			far.fails(c.status, c.answer)
			_, _, err := newTokens(far.oauth(), envOf(newMemory(), ahead)).get(t.Context())
			if se := chat.Classify(err); err == nil || se.Class != c.want || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it is %v, want %s and %q", err, c.want, c.says)
			}
			if err != nil && strings.Contains(err.Error(), clientSecret) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

// Mail is sent and read with the same token; one that is refused before its
// time is got anew at once.
func TestMailByToken(t *testing.T) {
	t.Parallel()
	far := startTokens(t)
	smtp, a, _ := submit(t, false, func(c *Config) { c.IMAP.Password, c.IMAP.OAuth = "", far.oauth() })
	smtp.mech, smtp.token = xoauth2, "token-1"
	a.smtp.tokens.env.Logger = slog.New(slog.DiscardHandler)
	send := func(id string) error {
		_, err := a.Send(t.Context(), answer(id))
		return err
	}
	if err := send("a"); err != nil {
		t.Fatal(err)
	}
	smtp.mu.Lock()
	smtp.token = "token-2"
	smtp.mu.Unlock()
	if err := send("b"); err != nil {
		t.Fatal(err)
	}
	if n := len(smtp.received()); n != 2 {
		t.Errorf("%d mails were taken, want 2", n)
	}
	smtp.mu.Lock()
	smtp.token = "none of these"
	smtp.mu.Unlock()
	err := send("c")
	if chat.Classify(err).Class != chat.Auth || strings.Contains(err.Error(), "token-") {
		t.Errorf("a token that is always refused is %v, want auth", err)
	}
	if n := len(far.calls()); n != 3 {
		t.Errorf("%d tokens were asked for, want 3", n)
	}
}

func TestMailboxRenews(t *testing.T) {
	t.Parallel()
	far, ahead := startTokens(t), new(time.Duration)
	next := newTokens(far.oauth(), envOf(newMemory(), ahead)).renewing()
	for i, c := range []struct {
		renew bool
		want  string
	}{{false, "token-1"}, {false, "token-1"}, {true, "token-2"}, {false, "token-2"}} {
		if got, err := next(t.Context(), c.renew); got != c.want || err != nil {
			t.Errorf("token %d is %q (%v), want %q", i, got, err, c.want)
		}
	}
}

// A read by a token, end to end.
func TestReadsByToken(t *testing.T) {
	t.Parallel()
	far := startTokens(t)
	d := newDesk(t, func(c *Config) { c.IMAP.Password, c.IMAP.OAuth = "", far.oauth() })
	d.imap.mu.Lock()
	d.imap.token = "token-1"
	d.imap.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.adapter.Run(ctx) }()
	if !d.deliver(d.says("web-1: deploy", "")).Taken {
		t.Error("the mail was not handled")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
