package teams

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/infracloudio/msbotbuilder-go/connector/auth"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// renewBefore is how long before its end a token is used no more.
	renewBefore = 5 * time.Minute
	// tokenTimeout bounds the request for a token.
	tokenTimeout = 15 * time.Second
	// defaultLifetime is taken where the answer names none; the shortest that
	// Entra gives out is longer:
	// https://learn.microsoft.com/entra/identity-platform/access-tokens#token-lifetime
	defaultLifetime = 10 * time.Minute
)

// tokens gets the app's own tokens by its credentials and keeps the newest in
// memory. Every node gets its own, so that none is ever written down. It may
// be used concurrently: one request at a time is under way, and the others
// wait for it.
//
// The flow is that of
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow.
type tokens struct {
	http        *http.Client
	clock       chat.Clock
	url, scope  string
	credentials auth.CredentialProvider

	mu     sync.Mutex
	token  string
	until  time.Time
	flight *flight
}

// flight is a request for a token that is under way.
type flight struct {
	done chan struct{} // closed when it has ended
	err  error
	// left says that it ended because who had begun it wanted it no more.
	left bool
}

func newTokens(cfg Config, client *http.Client, clock chat.Clock) *tokens {
	return &tokens{
		http: client, clock: clock, url: cfg.tokenURL(), scope: cfg.cloud().scope,
		credentials: auth.SimpleCredentialProvider{AppID: cfg.AppID, Password: cfg.AppPassword.Reveal()},
	}
}

// get returns a token that is good for some minutes. Its errors are
// *chat.SendError.
func (t *tokens) get(ctx context.Context) (string, error) {
	for {
		t.mu.Lock()
		if t.token != "" && t.clock().Before(t.until) {
			defer t.mu.Unlock()
			return t.token, nil
		}
		f := t.flight
		if f == nil {
			f = &flight{done: make(chan struct{})}
			t.flight = f
			t.mu.Unlock()
			return t.fly(ctx, f)
		}
		t.mu.Unlock()
		select {
		case <-ctx.Done():
			return "", temporary(fmt.Errorf("waiting for a token: %w", ctx.Err()))
		case <-f.done:
		}
		if f.err != nil && !f.left {
			return "", f.err
		}
	}
}

// fly makes the request and tells those who wait for it.
func (t *tokens) fly(ctx context.Context, f *flight) (string, error) {
	requested := t.clock()
	token, lifetime, err := t.request(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		// Of a short-lived one, half is left to be used.
		t.token, t.until = token, requested.Add(max(lifetime-renewBefore, lifetime/2))
	}
	f.err, f.left = err, ctx.Err() != nil
	t.flight = nil
	close(f.done)
	return token, err
}

// forget drops a token that was refused, unless it is another by now.
func (t *tokens) forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}

// granted is the answer to a request for a token. The lifetime is a number or,
// from older addresses, a text.
type granted struct {
	Token     string          `json:"access_token"`
	ExpiresIn json.RawMessage `json:"expires_in"`
}

func (t *tokens) request(ctx context.Context) (token string, lifetime time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {t.credentials.GetAppID()},
		"client_secret": {t.credentials.GetAppPassword()},
		"scope":         {t.scope},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, &chat.SendError{Class: chat.Auth, Err: fmt.Errorf("asking for a token: %w", withoutURL(err))}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	a, err := exchange(t.http, req, t.clock)
	if err != nil {
		return "", 0, temporary(fmt.Errorf("asking %s for a token: %w", req.URL.Host, err))
	}
	if a.status != http.StatusOK {
		return "", 0, a.tokenError(req.URL.Host)
	}
	var g granted
	if err := json.Unmarshal(a.body, &g); err != nil || g.Token == "" {
		return "", 0, temporary(fmt.Errorf("%s answered with no token; is token_url right, and is a proxy in between?", req.URL.Host))
	}
	return g.Token, g.lifetime(), nil
}

func (g granted) lifetime() time.Duration {
	const longest = 24 * time.Hour
	seconds, err := strconv.ParseInt(strings.Trim(string(g.ExpiresIn), `"`), 10, 64)
	switch {
	case err != nil || seconds <= 0:
		return defaultLifetime
	case seconds > int64(longest/time.Second):
		return longest
	}
	return time.Duration(seconds) * time.Second
}
