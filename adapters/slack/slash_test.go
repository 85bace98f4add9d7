package slack

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestSlashCommand(t *testing.T) {
	d := setup(t, ModeHTTP)
	command := chattest.Message{Way: "slash", Text: "web-1 echo a <b> & c"}
	d.takes(t, d.command(command), http.StatusOK)
	got := d.only(t)
	c, err := conversationOf(got.Conversation)
	if err != nil || !c.Guest || c.Channel != "C0001" || c.Thread != "" || c.Asked != "" || !strings.HasPrefix(c.ResponseURL, d.srv.URL+"/response/") {
		t.Errorf("it will be answered at %+v (%v)", c, err)
	}
	if left := time.Until(c.Until); left < 28*time.Minute || left > 30*time.Minute {
		t.Errorf("its response_url is used for %s", left)
	}
	if q := got.Conversation.Quota; q == nil || q.Messages != 5 {
		t.Errorf("its quota is %+v, want 5 messages", q)
	}
	if got.Text != command.Text || got.Sender.Name != "ada" || !got.Addressed || got.Direct {
		t.Errorf("it came as %+v", got)
	}

	// Anything that is said where Skadi hears it shows that it is a member.
	d.takes(t, d.event(d.messageFields(chattest.Message{}, "nothing to do with it")), http.StatusOK)
	d.none(t)
	d.takes(t, d.command(command), http.StatusOK)
	got = d.only(t)
	if c, err := conversationOf(got.Conversation); err != nil || c.Guest || got.Conversation.Quota != nil || got.Conversation.Key != "C0001" {
		t.Errorf("where Skadi is a member it will be answered at %+v, with the quota %+v (%v)", c, got.Conversation.Quota, err)
	}

	// Until it leaves.
	d.takes(t, d.event(map[string]any{"type": "channel_left", "channel": "C0001"}), http.StatusOK)
	d.takes(t, d.command(command), http.StatusOK)
	if got = d.only(t); got.Conversation.Quota == nil {
		t.Error("Skadi left, and takes itself for a member")
	}

	d.takes(t, d.command(chattest.Message{Way: "slash"}), http.StatusOK)
	if got = d.only(t); got.Text != "help" {
		t.Errorf("a slash command and nothing else came as %q, want help", got.Text)
	}
}

func TestSlashCommandOfAnother(t *testing.T) {
	d := setup(t, ModeHTTP)
	change := func(key, value string) delivery {
		c := d.command(chattest.Message{Way: "slash", Text: "agents"})
		form, err := url.ParseQuery(string(c.body))
		if err != nil {
			t.Fatal(err)
		}
		form.Set(key, value)
		c.body = []byte(form.Encode())
		return c
	}
	d.takes(t, change("team_id", "T0002"), http.StatusForbidden)
	d.takes(t, change("user_id", "U1/x"), http.StatusBadRequest)
	d.takes(t, change("channel_id", ""), http.StatusBadRequest)
	d.takes(t, change("ssl_check", "1"), http.StatusOK)
	d.none(t)
	d.takes(t, change("response_url", "https://evil.example.com/"), http.StatusOK)
	if c, err := conversationOf(d.only(t).Conversation); err != nil || c.ResponseURL != "" || !c.Guest {
		t.Errorf("it will be answered at %+v (%v)", c, err)
	}
}

func TestResponseURL(t *testing.T) {
	t.Parallel()
	a := &Adapter{cfg: Config{APIURL: "https://gateway.example.com/api/"}}
	plain := &Adapter{}
	for raw, want := range map[string]bool{
		"https://hooks.slack.com/commands/T1/2/abc":     true,
		"https://hooks.slack-gov.com/commands/T1/2/abc": true,
		"http://hooks.slack.com/commands/T1/2/abc":      false,
		"https://hooks.slack.com.example.com/":          false,
		"https://ada@hooks.slack.com/":                  false,
		"https://slack.com/":                            false,
		"":                                              false,
		"://":                                           false,
	} {
		if got := plain.isResponseURL(raw); got != want {
			t.Errorf("%q is used: %t, want %t", raw, got, want)
		}
	}
	if !a.isResponseURL("https://gateway.example.com/response/1") || a.isResponseURL("http://gateway.example.com/response/1") {
		t.Error("a gateway's own response_url is not told from others")
	}
}

// What is not stored is told to the asker alone, and not acknowledged with
// an error of which Slack makes "failed with dispatch_failed".
func TestSlashCommandNotStored(t *testing.T) {
	for _, mode := range []string{ModeHTTP, ModeSocket} {
		t.Run(mode, func(t *testing.T) {
			d := setup(t, mode)
			d.refuses(errors.New("the disk is full: /var/lib/skadi"))
			body := d.takes(t, d.command(chattest.Message{Way: "slash", Text: "agents"}), http.StatusOK)
			var told aside
			if err := json.Unmarshal([]byte(body), &told); err != nil || told.Type != "ephemeral" || told.Text != notTaken {
				t.Errorf("the asker was told %q (%v)", body, err)
			}
		})
	}
}

func TestNotLoggedIn(t *testing.T) {
	t.Parallel()
	a, err := New(Config{Mode: ModeHTTP, BotToken: botToken, SigningSecret: signingSecret}, chat.Env{Account: "work"})
	if err != nil {
		t.Fatal(err)
	}
	a.(pushed).login.settle(identity{}, errors.New("bot_token: Slack refuses it"))
	v := a.(pushed).slash(t.Context(), slashCommand{TeamID: teamID, ChannelID: "C1", UserID: "U1", TriggerID: "1"})
	if told, ok := v.reply.(aside); v.status != http.StatusOK || !ok || told.Text != notConnected {
		t.Errorf("the verdict is %+v", v)
	}
	v = a.(pushed).event(t.Context(), []byte(`{"type":"event_callback","team_id":"T0001","event_id":"Ev1","event":{"type":"message"}}`))
	if v.status != http.StatusServiceUnavailable {
		t.Errorf("the verdict on an event is %+v", v)
	}
}
