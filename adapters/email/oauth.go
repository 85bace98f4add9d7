package email

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// tokenSpare is how long before its end a token is not used any more.
	tokenSpare = time.Minute
	// tokenLife is taken where the far side does not say how long a token lives.
	tokenLife = 5 * time.Minute
	// tokenTimeout bounds a call for a token.
	tokenTimeout = 20 * time.Second
)

// tokens gets access tokens for IMAP and SMTP, and shares them with the other
// nodes.
type tokens struct {
	cfg OAuth
	env chat.Env
	// name is where they are kept, and the lease of who gets one: by what is
	// asked for, so that a token does not outlive a change of the config.
	name string

	mu sync.Mutex
}

// storedToken is what is kept of a token.
type storedToken struct {
	Access string    `json:"access"`
	Until  time.Time `json:"until"`
}

func newTokens(cfg OAuth, env chat.Env) *tokens {
	parts := append([]string{cfg.TokenURL, cfg.ClientID, cfg.ClientSecret.Reveal(), cfg.RefreshToken.Reveal()}, cfg.Scopes...)
	return &tokens{cfg: cfg, env: env, name: "oauth/" + digest(parts...)}
}

// get returns a token that works for a minute at least, unless the mail server
// thinks otherwise; fresh says that it was got right now. Its errors are a
// *chat.SendError.
func (t *tokens) get(ctx context.Context) (token string, fresh bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		if token := t.kept(ctx); token != "" {
			return token, false, nil
		}
		_, held, err := t.env.Lease.Acquire(ctx, t.name, 2*tokenTimeout)
		if err == nil && !held {
			err = wait(ctx, 10*keyWaiting) // until the node that holds it has one
		}
		if err != nil {
			return "", false, &chat.SendError{Class: chat.Temporary, Err: fmt.Errorf("wait for a token: %w", err)}
		}
		if held {
			break
		}
	}
	defer func() { _ = t.env.Lease.Release(context.WithoutCancel(ctx), t.name) }()
	if token := t.kept(ctx); token != "" {
		return token, false, nil
	}
	token, err = t.fetch(ctx)
	return token, err == nil, err
}

// drop forgets a token that a mail server refused, unless another one was got
// meanwhile.
func (t *tokens) drop(ctx context.Context, refused string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if refused == "" || t.kept(ctx) != refused {
		return nil
	}
	return t.env.KV.Delete(ctx, t.name)
}

// kept returns the token that the nodes share, if it can still be used.
func (t *tokens) kept(ctx context.Context) string {
	data, ok, err := t.env.KV.Get(ctx, t.name)
	if err != nil {
		t.env.Logger.Warn("the kept token could not be read", "err", err)
	}
	var kept storedToken
	if err != nil || !ok || json.Unmarshal(data, &kept) != nil || !t.env.Clock().Add(tokenSpare).Before(kept.Until) {
		return ""
	}
	return kept.Access
}

// fetch gets a token from the far side and keeps it.
func (t *tokens) fetch(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	now := t.env.Clock()
	token, err := t.ask(context.WithValue(ctx, oauth2.HTTPClient, t.client()))
	if err != nil {
		return "", classifyToken(err)
	}
	until := now.Add(tokenLife)
	if !token.Expiry.IsZero() { // by the clock of the machine
		until = now.Add(time.Until(token.Expiry))
	}
	if token.RefreshToken != "" && token.RefreshToken != t.cfg.RefreshToken.Reveal() {
		if err := t.env.KV.Set(ctx, t.name+"/refresh", []byte(token.RefreshToken), 0); err != nil {
			t.env.Logger.Warn("the new refresh token could not be kept", "err", err)
		}
	}
	data, err := json.Marshal(storedToken{Access: token.AccessToken, Until: until})
	if err == nil {
		err = t.env.KV.Set(ctx, t.name, data, until.Sub(now))
	}
	if err != nil {
		t.env.Logger.Warn("the token could not be kept", "err", err)
	}
	return token.AccessToken, nil
}

// ask asks for a token: with the newest refresh token, or as the program.
func (t *tokens) ask(ctx context.Context) (*oauth2.Token, error) {
	if t.cfg.RefreshToken == "" {
		c := clientcredentials.Config{
			ClientID: t.cfg.ClientID, ClientSecret: t.cfg.ClientSecret.Reveal(), TokenURL: t.cfg.TokenURL, Scopes: t.cfg.Scopes,
			AuthStyle: oauth2.AuthStyleInParams,
		}
		return c.Token(ctx)
	}
	refresh := t.cfg.RefreshToken.Reveal()
	if newer, ok, err := t.env.KV.Get(ctx, t.name+"/refresh"); err == nil && ok {
		refresh = string(newer)
	}
	c := oauth2.Config{
		ClientID: t.cfg.ClientID, ClientSecret: t.cfg.ClientSecret.Reveal(), Scopes: t.cfg.Scopes,
		Endpoint: oauth2.Endpoint{TokenURL: t.cfg.TokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}
	return c.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
}

// client is the host's, without redirects: secrets go nowhere else.
func (t *tokens) client() *http.Client {
	client := http.Client{Timeout: tokenTimeout}
	if t.env.HTTP != nil {
		client = *t.env.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// classifyToken says what a call for a token failed of. The far side's answer
// is not repeated but for its code, for it may have a secret in it.
func classifyToken(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		return &chat.SendError{Class: chat.Temporary, Err: errors.New("the server that gives out tokens could not be reached, or gave none")}
	}
	status := refused.Response.StatusCode
	detail := fmt.Errorf("no token was given out: status %d", status)
	if isErrorCode(refused.ErrorCode) {
		detail = fmt.Errorf("no token was given out: %s (status %d)", refused.ErrorCode, status)
	}
	switch {
	case status == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(refused.Response.Header.Get("Retry-After"))
		return &chat.SendError{Class: chat.RateLimited, RetryAfter: time.Duration(min(max(seconds, 0), 3600)) * time.Second, Err: detail}
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError && refused.ErrorCode != "temporarily_unavailable":
		return &chat.SendError{Class: chat.Auth, Err: fmt.Errorf("%w; check oauth", detail)}
	}
	return &chat.SendError{Class: chat.Temporary, Err: detail}
}

// isErrorCode reports whether s is a code such as invalid_grant.
func isErrorCode(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for _, r := range s {
		if r != '_' && (r < 'a' || r > 'z') {
			return false
		}
	}
	return true
}

// renewing returns what the mailbox asks for tokens; with renew, for another
// one than the last.
func (t *tokens) renewing() func(ctx context.Context, renew bool) (string, error) {
	var last string // one reader, one call at a time
	return func(ctx context.Context, renew bool) (string, error) {
		if renew {
			if err := t.drop(ctx, last); err != nil {
				return "", err
			}
		}
		token, _, err := t.get(ctx)
		last = token
		return token, err
	}
}
