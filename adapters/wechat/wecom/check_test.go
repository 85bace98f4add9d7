package wecom

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// TestCheck tries the credentials as `skadi doctor` does.
func TestCheck(t *testing.T) {
	t.Parallel()
	f := newWeCom(t, time.Now)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	env := chat.Env{Account: "corp", Logger: slog.New(slog.DiscardHandler), Clock: time.Now, HTTP: client}
	is := func(level chat.Level, text, fix string) {
		t.Helper()
		found := f.Restart(t, env).(chat.Checker).Check(t.Context())
		if len(found) != 1 || found[0].Level != level || !strings.Contains(found[0].Text, text) || !strings.Contains(found[0].Fix, fix) {
			t.Errorf("%+v, want it to be %s: %s (%s)", found, level, text, fix)
		}
		for _, one := range found {
			if strings.Contains(one.Text+one.Fix, farSecret) || strings.Contains(one.Text, "t0ken-") {
				t.Errorf("it shows a secret: %+v", one)
			}
		}
	}
	is(chat.Fine, "gives out an access token of "+farCorp, "")
	f.Lock(t, true)
	is(chat.Wrong, "no access token", "应用管理")
	f.srv.Close()
	is(chat.Wrong, "no access token", "reaches "+f.srv.URL)
}

// TestCheckOfARobot says that it tries nothing, and calls nobody.
func TestCheckOfARobot(t *testing.T) {
	t.Parallel()
	r, err := NewRobot(RobotConfig{WebhookURL: "http://127.0.0.1:1/cgi-bin/webhook/send?key=hunter2"}, chat.Env{Account: "robot", Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	found := r.Check(t.Context())
	if len(found) != 1 || found[0].Level != chat.Untried || strings.Contains(found[0].Text, "hunter2") {
		t.Errorf("%+v", found)
	}
}
