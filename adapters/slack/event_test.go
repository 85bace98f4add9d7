package slack

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// shelf is a chat.Inbox that keeps what it is handed.
type shelf struct {
	mu  sync.Mutex
	all []chat.Inbound
	err error
}

func (s *shelf) Accept(_ context.Context, m chat.Inbound) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.all = append(s.all, m)
	}
	return s.err
}

// refuses makes it take nothing, unless err is nil.
func (s *shelf) refuses(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// only returns the one message that came.
func (s *shelf) only(t *testing.T) chat.Inbound {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) != 1 {
		t.Fatalf("%d messages were handed in, want 1: %+v", len(s.all), s.all)
	}
	m := s.all[0]
	s.all = nil
	return m
}

func (s *shelf) none(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) != 0 {
		t.Errorf("messages were handed in: %+v", s.all)
	}
}

// memory is a chat.KV.
type memory struct {
	mu   sync.Mutex
	vals map[string][]byte
	err  error
}

func (m *memory) Get(_ context.Context, key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.vals[key]
	return v, ok, m.err
}

func (m *memory) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ttl <= 0 {
		return errors.New("it would be kept for ever")
	}
	if m.err != nil {
		return m.err
	}
	m.vals[key] = value
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.vals, key)
	return m.err
}

func (m *memory) fails(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// desk is an account that runs over HTTP, and what it works with.
type desk struct {
	*far
	*shelf
	kv *memory
}

// setup runs an account. Its far side is as the suite's.
func setup(t *testing.T, mode string) *desk {
	t.Helper()
	d := prepare(t, mode)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Adapter().Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	return d
}

// prepare makes an account that does not run.
func prepare(t *testing.T, mode string) *desk {
	t.Helper()
	d := &desk{shelf: &shelf{}, kv: &memory{vals: map[string][]byte{}}}
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	d.far = startFar(mode)(t, chat.Env{Account: chattest.Account, Inbox: d.shelf, Clock: time.Now, KV: d.kv, HTTP: client}).(*far)
	return d
}

// takes delivers something that must be answered with a status.
func (d *desk) takes(t *testing.T, what delivery, want int) string {
	t.Helper()
	status, body := d.deliver(t, what)
	if status != want {
		t.Errorf("it was answered with %d, want %d", status, want)
	}
	return body
}

// external makes an event of a channel that is shared with another
// organization, as the installation here gets it.
func external(e map[string]any) {
	e["team_id"], e["context_team_id"], e["is_ext_shared_channel"] = "T0EXT", teamID, true
}

func TestWhoseMessage(t *testing.T) {
	d := setup(t, ModeHTTP)
	for _, c := range []struct {
		name   string
		fields map[string]any
		change func(map[string]any)
		want   string // the principal; empty where it is refused
	}{
		{"own workspace", nil, func(map[string]any) {}, "work:T0001/U0000"},
		{"without a team", map[string]any{"team": nil}, func(map[string]any) {}, "work:T0001/U0000"},
		{"Slack Connect", map[string]any{"team": "T0EXT", "user_team": "T0EXT", "source_team": "T0EXT"}, external, "work:T0EXT/U0000"},
		{"Slack Connect, somebody of here", map[string]any{"team": teamID, "user_team": teamID}, external, "work:T0001/U0000"},
		{"Slack Connect, home of the profile", map[string]any{"team": teamID, "user_profile": map[string]any{"team": "T0EXT", "display_name": "Eve"}}, external, "work:T0EXT/U0000"},
		{"Slack Connect, where from is not said", map[string]any{"team": nil}, external, ""},
		{"another workspace", map[string]any{"team": "T0002"}, anotherTeam, ""},
		{"another workspace that names this one", nil, func(e map[string]any) { e["team_id"], e["context_team_id"] = "T0002", teamID }, ""},
		{"shared, for another installation", map[string]any{"team": "T0EXT"}, func(e map[string]any) {
			external(e)
			e["context_team_id"], e["authorizations"] = "T0EXT", []map[string]any{{"team_id": "T0EXT"}}
		}, ""},
		{"an ID that is none", map[string]any{"user": "U1/*"}, func(map[string]any) {}, ""},
		{"a workspace that is none", map[string]any{"team": "T0001/U9"}, func(map[string]any) {}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			fields := d.messageFields(chattest.Message{}, "<@"+botUser+"> agents")
			fields["type"] = "app_mention"
			for k, v := range c.fields {
				fields[k] = v
			}
			status, _ := d.deliver(t, d.event(fields, c.change))
			if c.want == "" {
				if status != http.StatusForbidden && status != http.StatusBadRequest {
					t.Errorf("it was answered with %d", status)
				}
				d.none(t)
				return
			}
			if got := d.only(t); status != http.StatusOK || got.Sender.Principal() != c.want {
				t.Errorf("it came from %s, want %s (%d)", got.Sender.Principal(), c.want, status)
			}
		})
	}
}

func TestOrganization(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		me   identity
		e    string
		want bool
	}{
		{"own", identity{team: "T1"}, `{"team_id":"T1"}`, true},
		{"no team at all", identity{team: "T1"}, `{}`, false},
		{"one workspace of it, another is meant", identity{team: "T1", enterprise: "E1"}, `{"team_id":"T2","enterprise_id":"E1"}`, false},
		{"one workspace of it, in a channel of several", identity{team: "T1", enterprise: "E1"}, `{"team_id":"T2","enterprise_id":"E1","authorizations":[{"team_id":"T1"}]}`, true},
		{"all of it", identity{team: "E1", enterprise: "E1"}, `{"team_id":"T2","enterprise_id":"E1"}`, true},
		{"all of it, shared", identity{team: "E1", enterprise: "E1"}, `{"team_id":"T9","is_ext_shared_channel":true,"authorizations":[{"team_id":null,"enterprise_id":"E1","is_enterprise_install":true}]}`, true},
		{"all of another", identity{team: "E1", enterprise: "E1"}, `{"team_id":"T2","enterprise_id":"E2"}`, false},
	} {
		var e envelope
		if err := json.Unmarshal([]byte(c.e), &e); err != nil {
			t.Fatal(err)
		}
		if got := (&Adapter{}).concerns(c.me, e); got != c.want {
			t.Errorf("%s: an event concerns the account: %t, want %t", c.name, got, c.want)
		}
	}
}

func TestWhatRuns(t *testing.T) {
	d := setup(t, ModeHTTP)
	direct := chattest.Message{Conversation: 2}
	for name, change := range map[string]func(map[string]any){
		"with a file":              func(f map[string]any) { f["subtype"] = "file_share" },
		"from a thread":            func(f map[string]any) { f["subtype"] = "thread_broadcast" },
		"edited by nobody":         func(f map[string]any) { f["edited"] = nil },
		"type not said":            func(f map[string]any) { delete(f, "channel_type") },
		"page of the app":          func(f map[string]any) { f["channel_type"] = "app_home" },
		"mentions Skadi all alike": func(f map[string]any) { f["text"] = "<@" + botUser + "> " + f["text"].(string) },
	} {
		fields := d.messageFields(direct, "agents")
		change(fields)
		d.takes(t, d.event(fields), http.StatusOK)
		if got := d.only(t); got.Text != "agents" || !got.Direct || !got.Addressed || got.Conversation.Key != "D0001" {
			t.Errorf("%s: it came as %+v", name, got)
		}
	}
}

func TestMentionAlone(t *testing.T) {
	d := setup(t, ModeHTTP)
	fields := d.messageFields(chattest.Message{}, "<@"+botUser+">")
	fields["type"] = "app_mention"
	d.takes(t, d.event(fields), http.StatusOK)
	if got := d.only(t); got.Text != "help" {
		t.Errorf("a mention and nothing else came as %q, want help", got.Text)
	}
}

// A message at the top level is answered in a thread of its own, and what
// people then write there is followed.
func TestThreads(t *testing.T) {
	d := setup(t, ModeHTTP)
	fields := d.messageFields(chattest.Message{}, "<@"+botUser+"> agents")
	fields["type"] = "app_mention"
	delete(fields, "thread_ts")
	delete(fields, "parent_user_id")
	root := fields["ts"].(string)
	d.takes(t, d.event(fields), http.StatusOK)
	first := d.only(t)
	if want := "C0001/" + root; first.Conversation.Key != want {
		t.Errorf("the conversation is %q, want %q", first.Conversation.Key, want)
	}
	c, err := conversationOf(first.Conversation)
	if err != nil || c.Thread != root || c.Asked != root || c.Team != teamID || c.User != person(0) || c.Guest {
		t.Errorf("it will be answered at %+v (%v)", c, err)
	}
	reply := d.messageFields(chattest.Message{Person: 1}, "cancel k7f3q2")
	reply["thread_ts"] = root
	d.takes(t, d.event(reply), http.StatusOK)
	if got := d.only(t); !got.Followed || got.Addressed || got.Direct || got.Conversation.Key != first.Conversation.Key {
		t.Errorf("a message in the thread came as %+v", got)
	}

	// A thread that the bot began needs no memory.
	own := d.messageFields(chattest.Message{}, "cancel k7f3q2")
	own["thread_ts"], own["parent_user_id"] = "1700000500.000000", botUser
	d.takes(t, d.event(own), http.StatusOK)
	if got := d.only(t); !got.Followed {
		t.Errorf("a message in the bot's own thread came as %+v", got)
	}

	// While nobody can tell, Slack delivers it again.
	strange := d.messageFields(chattest.Message{}, "cancel k7f3q2")
	strange["thread_ts"] = "1700000600.000000"
	d.kv.fails(errors.New("the database is away"))
	d.takes(t, d.event(strange), http.StatusServiceUnavailable)
	d.kv.fails(nil)
	d.takes(t, d.event(strange), http.StatusOK)
	d.none(t)
}

func TestJoinedOnce(t *testing.T) {
	d := setup(t, ModeHTTP)
	join := func() delivery {
		return d.event(map[string]any{"type": "member_joined_channel", "user": botUser, "channel": "C0005", "team": teamID, "inviter": person(1)})
	}
	d.takes(t, join(), http.StatusOK)
	first := d.only(t)
	if !first.Joined || first.Text != "" || first.Conversation.Key != "C0005" || first.Sender.User != person(1) {
		t.Errorf("it came as %+v", first)
	}
	d.takes(t, join(), http.StatusOK)
	if second := d.only(t); second.ID != first.ID {
		t.Errorf("it joined as %q and as %q", first.ID, second.ID)
	}
}

func TestChallenge(t *testing.T) {
	d := prepare(t, ModeHTTP) // Slack asks before the account works
	ask := func(body string) delivery { return delivery{path: "/events", body: []byte(body)} }
	if got := d.takes(t, ask(`{"type":"url_verification","token":"x","challenge":"3eZbrw1a"}`), http.StatusOK); got != "3eZbrw1a" {
		t.Errorf("the answer is %q", got)
	}
	d.takes(t, ask(`{"type":"url_verification"}`), http.StatusBadRequest)
	r := d.request(ask(`{"type":"url_verification","challenge":"x"}`), time.Now())
	r.Header.Del(headerSignature)
	if status, body := d.Call(r, slackWaits); status != http.StatusUnauthorized || strings.Contains(string(body), "x") {
		t.Errorf("a challenge that nobody signed was answered with %d %q", status, body)
	}
}

func TestRetriesAreAskedForOnlyIfTheyHelp(t *testing.T) {
	d := setup(t, ModeHTTP)
	good := d.event(d.messageFields(chattest.Message{Conversation: 2}, "agents"))
	for _, c := range []struct {
		err  error
		what delivery
		no   string
	}{
		{nil, good, ""},
		{errors.New("the disk is full"), good, ""},
		{nil, d.event(d.messageFields(chattest.Message{Conversation: 2}, "agents"), anotherTeam), "1"},
		{nil, delivery{path: "/events", body: []byte("{")}, "1"},
	} {
		d.refuses(c.err)
		r := d.request(c.what, time.Now())
		r.Header.Set("X-Slack-Retry-Num", "3")
		w := httptest.NewRecorder()
		d.Adapter().(chat.Pushed).Handler().ServeHTTP(w, r)
		if got := w.Header().Get("X-Slack-No-Retry"); got != c.no {
			t.Errorf("%d says no retry: %q, want %q", w.Code, got, c.no)
		}
	}
	d.only(t)
}

func TestTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a := &Adapter{env: chat.Env{Clock: func() time.Time { return now }}}
	for ts, want := range map[string]time.Time{
		"1700000000.000123": time.Unix(1700000000, 123000),
		"1700000000":        time.Unix(1700000000, 0),
		"1700000000.5":      time.Unix(1700000000, 500_000_000),
		"":                  now, "...": now, "99999999999999999999.1": now,
	} {
		if got := a.timeOf(ts); !got.Equal(want) {
			t.Errorf("%q is %s, want %s", ts, got, want)
		}
	}
}
