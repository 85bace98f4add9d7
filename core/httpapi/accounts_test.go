package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
)

// account is an adapter that runs, or fails at once.
type account struct{ fault error }

func (a account) Run(ctx context.Context) error {
	if a.fault != nil {
		return a.fault
	}
	<-ctx.Done()
	return nil
}

func (account) Send(context.Context, chat.Outbound) (chat.MessageRef, error) {
	return chat.MessageRef{}, nil
}

func (account) Capabilities() chat.Capabilities { return chat.Capabilities{} }

// withAccounts runs the accounts well and broken, both mounted, until broken
// has failed once.
func withAccounts(t *testing.T, serve http.HandlerFunc) *env {
	t.Helper()
	accounts := events.NewAccounts(nil, nil)
	for name, fault := range map[string]error{"well": nil, "broken": errors.New("the bot token was revoked")} {
		if err := accounts.Add(events.Account{Name: name, Kind: "fake", Adapter: account{fault}}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = accounts.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	for accounts.Receiving("broken") {
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the account never failed")
		}
	}
	return setup(t, func(c *Config) {
		c.Accounts = accounts
		c.Mount = mounts(map[string]http.Handler{"well": serve, "broken": serve})
		c.BodyBytes = 1000
	})
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	e := withAccounts(t, func(http.ResponseWriter, *http.Request) {})
	list := as[agentapi.AccountList](t, e.call(t, http.MethodGet, "/v1/accounts", e.admin, ""), http.StatusOK)
	if len(list.Accounts) != 2 {
		t.Fatalf("%+v", list)
	}
	broken, well := list.Accounts[0], list.Accounts[1]
	if broken.Name != "broken" || broken.Kind != "fake" || broken.State != "unhealthy" || broken.Error != "the bot token was revoked" || broken.Since.IsZero() {
		t.Errorf("%+v", broken)
	}
	if well.Name != "well" || well.State != "healthy" || well.Error != "" {
		t.Errorf("%+v", well)
	}
	e.call(t, http.MethodGet, "/v1/accounts", e.reader, "").problem(t, agentapi.ProblemWrongRole)
	elsewhere := e.tokenIn(t, "other", "root", access.RoleAdmin)
	e.call(t, http.MethodGet, "/v1/accounts", elsewhere, "").problem(t, agentapi.ProblemWrongRole)

	ready := e.call(t, http.MethodGet, "/readyz", "", "").want(t, http.StatusOK)
	if strings.TrimSpace(ready) != `{"status":"ready","unhealthy_accounts":["broken"]}` {
		t.Errorf("readyz: %s", ready)
	}
	text := e.call(t, http.MethodGet, "/metrics", "", "").want(t, http.StatusOK)
	for _, line := range []string{
		`skadi_account_healthy{account="broken",kind="fake"} 0`, `skadi_account_healthy{account="well",kind="fake"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

func TestNoAccounts(t *testing.T) {
	t.Parallel()
	e := setup(t)
	list := e.call(t, http.MethodGet, "/v1/accounts", e.admin, "").want(t, http.StatusOK)
	if strings.TrimSpace(list) != `{"accounts":[]}` {
		t.Errorf("%s", list)
	}
}

// TestMountOfAnAccount holds that an adapter gets the body byte by byte, with
// the headers that sign it, and that one which does not work gets none.
func TestMountOfAnAccount(t *testing.T) {
	t.Parallel()
	raw := []byte("\x00\xff\xfe{\"a\" : 1}\r\n\t\x1f\x8b not JSON, no text \xf0\x28")
	e := withAccounts(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch tooLong := (*http.MaxBytesError)(nil); {
		case errors.As(err, &tooLong):
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case r.Header.Get("X-Signature") != "v0=abc" || r.Header.Get("Content-Encoding") != "gzip" || r.URL.Path != "/events":
			w.WriteHeader(http.StatusTeapot)
		default:
			_, _ = w.Write(body)
		}
	})
	post := func(account string, body io.Reader) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/adapters/"+account+"/events", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Signature", "v0=abc")
		r.Header.Set("Content-Encoding", "gzip")
		answer, err := e.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") == "" {
			t.Error("it does not say when to come again")
		}
		return answer.StatusCode, string(text)
	}
	if status, got := post("well", bytes.NewReader(raw)); status != http.StatusOK || got != string(raw) {
		t.Errorf("%d %q, want %q", status, got, raw)
	}
	long := strings.Repeat("x", 1001)
	for name, body := range map[string]io.Reader{
		"with its length":    strings.NewReader(long),
		"without its length": io.MultiReader(strings.NewReader(long)),
	} {
		if status, _ := post("well", body); status != http.StatusRequestEntityTooLarge {
			t.Errorf("a body that is too long, %s: %d", name, status)
		}
	}
	status, text := post("broken", bytes.NewReader(raw))
	if status != http.StatusServiceUnavailable || !strings.Contains(text, agentapi.ProblemUnavailable) || strings.Contains(text, "revoked") {
		t.Errorf("an account that does not work: %d %s", status, text)
	}
	if status, text := post("none", bytes.NewReader(raw)); status != http.StatusNotFound || !strings.Contains(text, "config check") {
		t.Errorf("an account that is not there: %d %s", status, text)
	}
}
