package slack

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// TestScopesAreThoseOfTheManifest holds the scopes that are checked against
// those that the manifests in docs/slack.md ask for.
func TestScopesAreThoseOfTheManifest(t *testing.T) {
	t.Parallel()
	socket, overHTTP := manifests(t)
	for mode, m := range map[string]manifest{ModeSocket: socket, ModeHTTP: overHTTP} {
		var all []string
		for _, s := range scopes {
			all = append(all, s.name)
		}
		slices.Sort(all)
		asked := slices.Sorted(slices.Values(m.OAuth.Scopes.Bot))
		if !slices.Equal(all, asked) {
			t.Errorf("mode %s: the manifest asks for %v, checked are %v", mode, asked, all)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	var every []string
	for _, s := range scopes {
		every = append(every, s.name)
	}
	for name, tc := range map[string]struct {
		mode          string
		scopes, fault string // of auth.test
		app           string // fault of apps.connections.open
		bad, doubtful int
		text          string
	}{
		"all well over HTTP":      {mode: ModeHTTP, scopes: strings.Join(every, ",")},
		"all well by socket":      {mode: ModeSocket, scopes: strings.Join(every, ", ")},
		"a gateway says nothing":  {mode: ModeHTTP},
		"no chat:write":           {mode: ModeHTTP, scopes: strings.Join(every[1:], ","), bad: 1, text: "chat:write"},
		"no reactions, no groups": {mode: ModeHTTP, scopes: strings.Join(every[:10], ","), doubtful: 2, text: "usergroups:read"},
		"a revoked token":         {mode: ModeSocket, fault: "token_revoked", bad: 1, text: "token_revoked"},
		"Slack is broken":         {mode: ModeHTTP, fault: "fatal_error", bad: 1, text: "fatal_error"},
		"a bad app token":         {mode: ModeSocket, app: "not_allowed_token_type", bad: 1, text: "app_token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fault, right := tc.fault, botToken
				if strings.HasSuffix(r.URL.Path, "/apps.connections.open") {
					fault, right = tc.app, appLevelToken
				}
				switch {
				case r.Header.Get("Authorization") != "Bearer "+right:
					fault = "invalid_auth"
				case right == botToken:
					w.Header().Set("X-OAuth-Scopes", tc.scopes)
				}
				if fault != "" {
					fmt.Fprintf(w, `{"ok":false,"error":%q}`, fault)
					return
				}
				fmt.Fprintf(w, `{"ok":true,"team":"The\u202e Club","team_id":"T1","user_id":"U1","bot_id":"B1","url":"wss://x/?ticket=%s"}`, socketTicket)
			}))
			t.Cleanup(far.Close)
			cfg := Config{Mode: tc.mode, BotToken: botToken, APIURL: far.URL + "/api/", SigningSecret: signingSecret}
			if tc.mode == ModeSocket {
				cfg.SigningSecret, cfg.AppToken = "", appLevelToken
			}
			a, err := New(cfg, chat.Env{Account: "work", Clock: time.Now, HTTP: far.Client()})
			if err != nil {
				t.Fatal(err)
			}
			found := a.(chat.Checker).Check(t.Context())
			counts := map[chat.Level]int{}
			all := ""
			for _, f := range found {
				counts[f.Level]++
				all += f.Text + "\n" + f.Fix + "\n"
				if f.Level != chat.Fine && f.Fix == "" {
					t.Errorf("no advice for %q", f.Text)
				}
			}
			if counts[chat.Wrong] != tc.bad || counts[chat.Doubtful] != tc.doubtful || !strings.Contains(all, tc.text) {
				t.Errorf("found %+v", found)
			}
			for _, secret := range []string{botToken, appLevelToken, signingSecret, socketTicket, "\u202e"} {
				if strings.Contains(all, secret) {
					t.Errorf("%q is shown:\n%s", secret, all)
				}
			}
		})
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(far.Close)
	a, err := New(Config{Mode: ModeHTTP, BotToken: botToken, SigningSecret: signingSecret, APIURL: far.URL}, chat.Env{HTTP: far.Client()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found := a.(chat.Checker).Check(ctx); len(found) != 1 || found[0].Level != chat.Wrong {
		t.Errorf("%+v", found)
	}
}
