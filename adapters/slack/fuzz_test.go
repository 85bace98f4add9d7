package slack

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// checking is an inbox that checks what no adapter may hand in.
type checking struct{ t *testing.T }

func (c checking) Accept(_ context.Context, m chat.Inbound) error {
	c.t.Helper()
	account, rest, _ := strings.Cut(m.Sender.Principal(), ":")
	workspace, user, ok := strings.Cut(rest, "/")
	if account != chattest.Account || !ok || !isID(workspace) || !isID(user) {
		c.t.Errorf("the principal is %q", m.Sender.Principal())
	}
	if user == botUser && !m.Joined {
		c.t.Error("it is the bot's own")
	}
	ref := m.Conversation
	if m.ID == "" || ref.Account != chattest.Account || !isID(ref.Channel) || ref.Key == "" || len(ref.Key) > 200 {
		c.t.Errorf("the message is %q in %+v", m.ID, ref)
	}
	if _, err := conversationOf(ref); err != nil {
		c.t.Error(err)
	}
	if m.Joined != (m.Text == "") || !m.Joined && !m.Addressed && !m.Followed || m.At.IsZero() {
		c.t.Errorf("it came as %+v", m)
	}
	return nil
}

// desert is an account that is logged in and reaches nobody.
func desert(t *testing.T) pushed {
	t.Helper()
	made, err := New(Config{Mode: ModeHTTP, BotToken: botToken, SigningSecret: signingSecret, APIURL: "http://127.0.0.1:9/"},
		chat.Env{Account: chattest.Account, Inbox: checking{t}, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	a := made.(pushed)
	a.login.settle(identity{team: teamID, user: botUser, bot: botID}, nil)
	a.threads.add("C0001/1700000000.000001")
	return a
}

// answered checks that a verdict is one that Slack may get.
func answered(t *testing.T, v verdict) {
	t.Helper()
	switch v.status {
	case http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusServiceUnavailable:
	default:
		t.Errorf("the verdict is %+v", v)
	}
}

func FuzzEvent(f *testing.F) {
	maker := &far{workspace: &workspace{clock: time.Now}}
	for c := range places {
		for _, d := range maker.deliveries(chattest.Message{Conversation: c, Text: "agents <&>"}) {
			f.Add(d.body)
		}
		f.Add(maker.event(maker.messageFields(chattest.Message{Conversation: c}, "agents"), external).body)
	}
	f.Add(maker.event(map[string]any{"type": "member_joined_channel", "user": botUser, "channel": "C1"}).body)
	f.Add(maker.event(map[string]any{"type": "member_left_channel", "user": botUser, "channel": "C1"}).body)
	f.Add(maker.event(map[string]any{"type": "app_home_opened", "user": "U1", "tab": "home"}).body)
	f.Add(maker.event(maker.messageFields(chattest.Message{}, "")).body)
	f.Add([]byte(`{"type":"url_verification","challenge":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a := desert(t)
		answered(t, a.postedEvent(t.Context(), body))
		answered(t, a.event(t.Context(), body))
	})
}

func FuzzSlashCommand(f *testing.F) {
	f.Add([]byte("team_id=T0001&user_id=U1&channel_id=C1&trigger_id=1.2&text=%3C%40U1%3E&response_url=https%3A%2F%2Fhooks.slack.com%2Fx"), []byte(`{"team_id":"T0001","user_id":"U1","channel_id":"C1","trigger_id":"1","text":"a"}`))
	f.Add([]byte("ssl_check=1"), []byte(`{}`))
	f.Fuzz(func(t *testing.T, form, payload []byte) {
		a := desert(t)
		answered(t, a.postedCommand(t.Context(), form))
		answered(t, a.socketCommand(t.Context(), payload))
	})
}

func FuzzClick(f *testing.F) {
	maker := &far{workspace: &workspace{clock: time.Now, srv: &httptest.Server{}, responses: map[string]*responseURL{}}}
	d := maker.click(post{Channel: "C0001", TS: "1700000000.1", Thread: "1700000000.000001"}, actionPrefix+"0", "cancel k7f3q2", 0)
	f.Add(d.payload)
	f.Add([]byte(`{"type":"block_actions","user":{"id":"U1","team_id":"T0001"},"team":{"id":"T0001"},"container":{"type":"view"},"view":{"id":"V1"},"actions":[{"type":"button","action_id":"skadi:0","value":"x"}]}`))
	f.Add([]byte(`{"type":"block_actions","team":null,"enterprise":{"id":"E1"},"actions":[]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		answered(t, desert(t).interaction(t.Context(), payload))
	})
}

func FuzzCall(f *testing.F) {
	f.Add("/events", "v0=00", "1700000000", []byte("{}"))
	f.Add("/commands", "v0=zz", "-1", []byte("a=b"))
	f.Add("/interactivity", "v1=", "99999999999999999999", []byte("payload="))
	f.Fuzz(func(t *testing.T, path, signature, stamp string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(string(body)))
		r.URL.Path = path
		r.Header[headerSignature], r.Header[headerTimestamp] = []string{signature}, []string{stamp}
		w := httptest.NewRecorder()
		desert(t).Handler().ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			t.Errorf("a call to %q that nobody signed was answered with %d", path, w.Code)
		}
	})
}
