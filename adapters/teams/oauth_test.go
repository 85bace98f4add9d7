package teams

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

func TestTokenRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg        Config
		url, scope string
	}{
		"single tenant": {
			Config{TenantID: testTenant},
			"https://login.microsoftonline.com/" + testTenant + "/oauth2/v2.0/token", "https://api.botframework.com/.default",
		},
		"multi-tenant": {
			Config{AllowedTenants: []string{testTenant}},
			"https://login.microsoftonline.com/botframework.com/oauth2/v2.0/token", "https://api.botframework.com/.default",
		},
		"government": {
			Config{TenantID: testTenant, OpenIDMetadataURL: governmentCloud.metadata},
			"https://login.microsoftonline.us/" + testTenant + "/oauth2/v2.0/token", "https://api.botframework.us/.default",
		},
		"of one's own": {
			Config{TenantID: testTenant, TokenURL: "https://gateway.example/token"},
			"https://gateway.example/token", "https://api.botframework.com/.default",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.cfg.AppID, c.cfg.AppPassword = testApp, testPassword
			client := &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				if r.URL.String() != c.url || r.Method != http.MethodPost {
					t.Errorf("it was %s %s, want POST %s", r.Method, r.URL, c.url)
				}
				for key, want := range map[string]string{
					"grant_type": "client_credentials", "client_id": testApp, "client_secret": testPassword, "scope": c.scope,
				} {
					if got := r.PostForm.Get(key); got != want {
						t.Errorf("%s is %q, want %q", key, got, want)
					}
				}
				w := httptest.NewRecorder()
				fmt.Fprint(w, `{"access_token":"token-1","expires_in":3599}`)
				return w.Result(), nil
			})}
			if token, err := newTokens(c.cfg, client, time.Now).get(t.Context()); err != nil || token != "token-1" {
				t.Errorf("the token is %q (%v)", token, err)
			}
		})
	}
}

func TestTokensAreKeptWhileTheyAreGood(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expires string
		good    time.Duration // how long it is used
	}{
		"an hour":      {"3600", time.Hour - renewBefore},
		"as a text":    {`"3600"`, time.Hour - renewBefore},
		"short":        {"60", 30 * time.Second},
		"absent":       {"null", defaultLifetime / 2},
		"negative":     {"-5", defaultLifetime / 2},
		"far too long": {"99999999999999", 24*time.Hour - renewBefore},
		"nonsense":     {`{"a":1}`, defaultLifetime / 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := newService(t)
			far.set(nil, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":%s}`, far.granted(), c.expires)
			})
			s := far.sender(t)
			for i, step := range []struct {
				wait time.Duration
				want int
			}{{0, 1}, {c.good - time.Second, 1}, {time.Second, 2}, {0, 2}} {
				far.forward(step.wait)
				token, err := s.tokens.get(t.Context())
				if want := fmt.Sprintf("token-%d", step.want); err != nil || token != want {
					t.Errorf("step %d: the token is %q, want %q (%v)", i, token, want, err)
				}
			}
		})
	}
}

func TestOneRequestForATokenAtATime(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := far.sender(t)
	begun, release := make(chan struct{}, 100), make(chan struct{})
	far.set(nil, func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-release
		fmt.Fprint(w, `{"access_token":"token-1","expires_in":3600}`)
	})
	// Who begins the request may give up; the others still get their token.
	first, giveUp := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := s.tokens.get(first)
		left <- err
	}()
	<-begun
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if token, err := s.tokens.get(t.Context()); err != nil || token != "token-1" {
				t.Errorf("the token is %q (%v)", token, err)
			}
		})
	}
	giveUp()
	isClass(t, <-left, chat.Temporary, 0)
	<-begun
	close(release)
	wg.Wait()
	if n := far.granted(); n != 2 {
		t.Errorf("%d requests were made, want the one given up and one more", n)
	}
}

func TestWaitingForATokenEndsWithItsContext(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := far.sender(t)
	begun, release := make(chan struct{}), make(chan struct{})
	far.set(nil, func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		fmt.Fprint(w, `{"access_token":"token-1"}`)
	})
	done := make(chan error, 1)
	go func() {
		_, err := s.tokens.get(t.Context())
		done <- err
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.tokens.get(ctx)
	isClass(t, err, chat.Temporary, 0)
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestARefusedTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := far.sender(t)
	far.set(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"id":"1:x"}`)
	}, nil)
	mustSend(t, s, chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
	if far.granted() != 2 || len(far.got()) != 2 {
		t.Errorf("%d tokens and %d calls, want 2 and 2", far.granted(), len(far.got()))
	}
	far.answers(http.StatusUnauthorized, `{"error":{"code":"BotNotRegistered","message":"No registration found for this bot."}}`)
	_, err := send(t.Context(), t, s, chat.Outbound{ID: "b", To: far.place(), Text: "hello"})
	isClass(t, err, chat.Auth, 0)
	if far.granted() != 3 || len(far.got()) != 4 {
		t.Errorf("%d tokens and %d calls, want 3 and 4", far.granted(), len(far.got()))
	}
}

// TestNoTokenNoPanic is about the library, which looks into an answer that it
// has not got.
func TestNoTokenNoPanic(t *testing.T) {
	t.Parallel()
	far := newService(t)
	cfg := far.config()
	gone := httptest.NewServer(nil)
	gone.Close()
	cfg.TokenURL = gone.URL + "/token"
	_, err := send(t.Context(), t, newSender(cfg, far.env()), chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
	isClass(t, err, chat.Temporary, 0)
	if len(far.got()) != 0 {
		t.Error("it was sent without a token")
	}
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	entra := func(code, description string) string {
		return fmt.Sprintf(`{"error":%q,"error_description":%q,"error_codes":[1]}`, code, description)
	}
	for name, c := range map[string]struct {
		status int
		body   string
		class  chat.Class
		says   string
	}{
		"a wrong secret":   {401, entra("invalid_client", "AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2"), chat.Auth, "AADSTS7000215"},
		"an old secret":    {401, entra("invalid_client", "AADSTS7000222: The provided client secret keys are expired."), chat.Auth, "ends on a date"},
		"a wrong app":      {400, entra("unauthorized_client", "AADSTS700016: Application was not found in the directory."), chat.Auth, "app_id"},
		"a wrong tenant":   {400, entra("invalid_request", "AADSTS90002: Tenant not found."), chat.Auth, "tenant_id"},
		"a busy service":   {400, entra("temporarily_unavailable", ""), chat.Temporary, ""},
		"too many":         {429, entra("throttled", ""), chat.RateLimited, ""},
		"a broken service": {503, "<html>", chat.Temporary, "503"},
		"not the service":  {404, "<html>", chat.Permanent, "404"},
		"no token":         {200, `{}`, chat.Temporary, "token_url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := newService(t)
			far.set(nil, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			err := far.sender(t).logIn(t.Context())
			isClass(t, err, c.class, 0)
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "Trace ID") || strings.Contains(err.Error(), testPassword) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
