package official

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// checked makes an account as `skadi doctor` does, and has it check itself.
func checked(t *testing.T, cfg Config) []chat.Finding {
	t.Helper()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := New(cfg, chat.Env{Account: "ow", Logger: slog.New(slog.DiscardHandler), Clock: time.Now, HTTP: client})
	if err != nil {
		t.Fatal(err)
	}
	found := a.Check(t.Context())
	for _, f := range found {
		if text := f.Text + f.Fix; strings.Contains(text, farSecret) || strings.Contains(text, "t0ken") {
			t.Errorf("it shows a secret: %+v", f)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%+v", found)
	}
	return found
}

func TestCheck(t *testing.T) {
	t.Parallel()
	f := newWeChat(t, time.Now)
	was := f.given()
	if got := checked(t, f.config())[0]; got.Level != chat.Fine || !strings.Contains(got.Text, farApp) {
		t.Errorf("%+v", got)
	}
	if f.given() != was {
		t.Error("it has spent the token in use")
	}
	f.Lock(t, true)
	if got := checked(t, f.config())[0]; got.Level != chat.Wrong || !strings.Contains(got.Text, "40125") || !strings.Contains(got.Fix, "IP白名单") {
		t.Errorf("with a wrong secret: %+v", got)
	}
	f.srv.Close()
	if got := checked(t, f.config())[0]; got.Level != chat.Wrong || !strings.Contains(got.Fix, "reaches "+f.srv.URL) {
		t.Errorf("out of reach: %+v", got)
	}
}

// TestCheckOfAnswersThatAreNone has the far side repeat the secret, or answer
// something else.
func TestCheckOfAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   chat.Level
	}{
		"a gateway that passes on other calls alone": {http.StatusNotFound, "not here", chat.Untried},
		"a page":                    {http.StatusOK, "<html>", chat.Wrong},
		"no token":                  {http.StatusOK, `{"expires_in":7200}`, chat.Wrong},
		"the secret in the message": {http.StatusOK, fmt.Sprintf(`{"errcode":40001,"errmsg":"invalid secret %s"}`, farSecret), chat.Wrong},
		"not from here":             {http.StatusOK, `{"errcode":40164,"errmsg":"invalid ip 192.0.2.7, not in whitelist"}`, chat.Wrong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = fmt.Fprint(w, c.body)
			}))
			t.Cleanup(srv.Close)
			cfg := Config{AppID: farApp, AppSecret: farSecret, Token: farWord, EncodingAESKey: farKey, APIURL: srv.URL}
			if got := checked(t, cfg)[0]; got.Level != c.want {
				t.Errorf("%+v, want the level %s", got, c.want)
			}
		})
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := newWeChat(t, time.Now)
	a, err := New(f.config(), chat.Env{Account: "ow", Logger: slog.New(slog.DiscardHandler), Clock: time.Now, HTTP: &http.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := a.Check(ctx); got[0].Level != chat.Wrong {
		t.Errorf("%+v", got)
	}
}
