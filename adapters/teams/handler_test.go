package teams

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// box is an inbox that keeps what it is given.
type box struct {
	mu  sync.Mutex
	err error
	got []chat.Inbound
}

func (b *box) Accept(_ context.Context, m chat.Inbound) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.got = append(b.got, m)
	}
	return b.err
}

// receiver is an account and its far side.
type receiver struct {
	*microsoft
	*box
	a   *Adapter
	log *bytes.Buffer
}

func receive(t *testing.T, change ...func(cfg *Config)) *receiver {
	t.Helper()
	r := &receiver{box: &box{}, log: &bytes.Buffer{}}
	r.microsoft = newMicrosoft(t, newHands().clock)
	cfg := r.config()
	for _, f := range change {
		f(&cfg)
	}
	var err error
	r.a, err = New(cfg, chat.Env{
		Account: "work", Inbox: r.box, Clock: r.clock, Logger: slog.New(slog.NewTextHandler(r.log, nil)),
	})
	require.NoError(t, err)
	t.Cleanup(r.a.env.HTTP.CloseIdleConnections)
	return r
}

func (r *receiver) serve(req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.a.Handler().ServeHTTP(w, req)
	return w
}

// takes delivers an activity that is acknowledged, and returns what came of it.
func (r *receiver) takes(t *testing.T, a map[string]any) []chat.Inbound {
	t.Helper()
	w := r.serve(r.request(encoded(a)))
	require.Equal(t, http.StatusOK, w.Code, r.log)
	got := r.got
	r.got = nil
	return got
}

// unread is a body that nobody may read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read before the token was believed")
	return 0, io.EOF
}

// The library decodes the body of everybody, whatever its length.
func TestNothingIsReadOfWhoIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := receive(t)
	forged := "Bearer " + sign(otherKey(), map[string]any{"alg": "RS256", "kid": "good"}, r.claims())
	for _, headers := range [][]string{nil, {""}, {"Bearer x"}, {forged}, {"Bearer " + r.token(), forged}} {
		req := r.request(nil)
		req.Body = io.NopCloser(unread{t})
		req.Header["Authorization"] = headers
		w := r.serve(req)
		assert.Equal(t, http.StatusUnauthorized, w.Code)
		assert.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
		assert.Empty(t, w.Body)
	}
	assert.Empty(t, r.got)
}

func TestKeysAwayAsksToComeAgain(t *testing.T) {
	t.Parallel()
	r := receive(t)
	r.keysUnreadable = true
	w := r.serve(r.request(encoded(r.message(hello))))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.NotEmpty(t, w.Header().Get("Retry-After"))
	assert.Empty(t, r.got)
}

// What the library's type cannot hold, and is of no use, spoils nothing.
func TestFieldsOfAnotherForm(t *testing.T) {
	t.Parallel()
	r := receive(t)
	for path, value := range map[string]any{
		"value": "a text", "timestamp": "yesterday", "localTimestamp": "", "expiration": 7, "relatesTo": "x",
		"suggestedActions": []any{}, "semanticAction": "x", "reactionsAdded": "x", "TYPE": "invoke", "unknown": map[string]any{},
	} {
		got := r.takes(t, with(r.message(hello), path, value))
		if assert.Len(t, got, 1, path) {
			assert.Equal(t, hello.Text, got[0].Text)
			assert.False(t, got[0].At.IsZero())
		}
	}
}

func TestWhatIsHandedIn(t *testing.T) {
	t.Parallel()
	r := receive(t)
	m := chattest.Message{Conversation: 1, Person: 3, Text: "web-1 deploy"}
	a := with(r.message(m), "from.aadObjectId", strings.ToUpper(person(3)))
	got := r.takes(t, with(a, "channelData.tenant.id", strings.ToUpper(farTenant)))
	require.Len(t, got, 1)
	in := got[0]
	assert.Equal(t, "work:"+farTenant+"/"+person(3), in.Sender.Principal())
	assert.Equal(t, "Ada Lovelace", in.Sender.Name)
	assert.Equal(t, a["id"].(string)+" "+places[1].id, in.ID)
	assert.Equal(t, "19:channel@thread.tacv2", in.Conversation.Channel)
	assert.Equal(t, places[1].id, in.Conversation.Key)
	assert.True(t, in.At.Equal(r.clock()))
	where, err := conversationOf(in.Conversation)
	require.NoError(t, err)
	assert.Equal(t, conversation{
		ServiceURL: r.serviceURL(), ID: places[1].id, Type: inChannel, ChannelID: "msteams", Tenant: farTenant,
		Bot:   account{ID: "28:" + farApp, Name: "Skadi"},
		User:  account{ID: "29:1-person_3", Object: person(3), Name: "Ada Lovelace"},
		Asked: a["id"].(string),
	}, where)
}

// A guest of another allowed tenant is known by the tenant that they are of.
func TestPeopleOfSeveralTenants(t *testing.T) {
	t.Parallel()
	const other = "cccccccc-0000-4000-8000-00000000000c"
	r := receive(t, func(cfg *Config) { cfg.AllowedTenants = []string{farTenant, strings.ToUpper(other)} })
	got := r.takes(t, with(r.message(hello), "from.tenantId", other))
	require.Len(t, got, 1)
	assert.Equal(t, "work:"+other+"/"+person(0), got[0].Sender.Principal())
	got = r.takes(t, with(with(r.message(hello), "channelData.tenant.id", other), "conversation.tenantId", other))
	require.Len(t, got, 1)
	assert.Equal(t, "work:"+other+"/"+person(0), got[0].Sender.Principal())
}

func TestPeopleTalkAmongThemselves(t *testing.T) {
	t.Parallel()
	r := receive(t)
	for c := range 3 {
		a := r.message(chattest.Message{Conversation: c, Text: "web-1 deploy"})
		a["entities"] = []any{map[string]any{
			"type": "mention", "text": "<at>Bob</at>", "mentioned": map[string]any{"id": "29:bob", "name": "Bob"},
		}}
		assert.Empty(t, r.takes(t, a))
		assert.Empty(t, r.takes(t, with(a, "entities", nil)))
	}
}

func TestSubjectsThatAreNone(t *testing.T) {
	t.Parallel()
	r := receive(t)
	for _, kind := range []string{"messageReaction", "endOfConversation", "event", "trace", "handoff", "contactRelationUpdate", "neverHeardOf"} {
		assert.Empty(t, r.takes(t, with(r.message(hello), "type", kind)), kind)
	}
}

func TestJoining(t *testing.T) {
	t.Parallel()
	r := receive(t)
	added := func(c int, ids ...string) map[string]any {
		a := r.activity("conversationUpdate", c, 0)
		var all []any
		for _, id := range ids {
			all = append(all, map[string]any{"id": id})
		}
		a["membersAdded"] = all
		return a
	}
	installed := func(c int, action string) map[string]any {
		return with(r.activity("installationUpdate", c, 0), "action", action)
	}
	bot := "28:" + farApp
	ids := make(map[string]bool)
	for c := range places {
		first, second := r.takes(t, added(c, "29:1-person_0", bot)), r.takes(t, installed(c, "add"))
		require.Len(t, first, 1)
		require.Len(t, second, 1)
		assert.Equal(t, first[0].ID, second[0].ID)
		assert.True(t, first[0].Joined)
		assert.Empty(t, first[0].Text)
		assert.NotEmpty(t, first[0].Sender.User)
		ids[first[0].ID] = true
	}
	assert.Len(t, ids, len(places)-1, "two of the conversations are of one team")

	for _, a := range []map[string]any{
		added(0, "29:1-person_0"), added(0), installed(0, "remove"), installed(0, "add-upgrade"), installed(0, ""),
		with(added(0), "membersRemoved", []any{map[string]any{"id": bot}}),
		with(with(added(0), "topicName", "new"), "channelData.eventType", "channelRenamed"),
	} {
		assert.Empty(t, r.takes(t, a))
	}
	// By a program, which Entra does not know.
	got := r.takes(t, with(installed(0, "add"), "from", map[string]any{"id": "29:installer"}))
	require.Len(t, got, 1)
	assert.Equal(t, "29:installer", got[0].Sender.User)
	got = r.takes(t, with(installed(0, "add"), "from", nil))
	require.Len(t, got, 1)
	assert.NotEmpty(t, got[0].Sender.User)

	r.err = errors.New("no disk")
	assert.Equal(t, http.StatusServiceUnavailable, r.serve(r.request(encoded(installed(0, "add")))).Code)
}

// Teams tries a failed call but once more, so the asker is told.
func TestWhatCannotBeStoredIsSaid(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"please try again": errors.New("no disk"),
		"look with":        context.DeadlineExceeded,
	} {
		r := receive(t)
		r.err = err
		for c := range places {
			w := r.serve(r.request(encoded(r.message(chattest.Message{Conversation: c, Text: "web-1 deploy"}))))
			assert.Equal(t, http.StatusOK, w.Code)
			sent := r.sent()
			require.Len(t, sent, c+1)
			assert.Equal(t, places[c].id, sent[c].conversation)
			s, err := asShown(sent[c].body)
			require.NoError(t, err)
			assert.Contains(t, strings.ToLower(s.Text), want)
		}
		assert.NotContains(t, r.log.String(), farPassword)

		r = receive(t)
		r.err = err
		r.Lock(t, true) // nor can anything be said
		w := r.serve(r.request(encoded(r.message(hello))))
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	}
}

func TestTheHandlerHasOneAddress(t *testing.T) {
	t.Parallel()
	r := receive(t)
	for path, want := range map[string]int{"/": 404, "/messages/": 404, "/messages/x": 404, "/api/messages": 404} {
		req := r.request(encoded(r.message(hello)))
		req.URL.Path = path
		assert.Equal(t, want, r.serve(req).Code, path)
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions, "FOO"} {
		req := r.request(encoded(r.message(hello)))
		req.Method = method
		assert.Equal(t, http.StatusMethodNotAllowed, r.serve(req).Code, method)
	}
	assert.Empty(t, r.got)
}

func FuzzActivity(f *testing.F) {
	hand := newHands()
	far := &microsoft{clock: hand.clock, srv: &httptest.Server{URL: "http://127.0.0.1:9"}, said: map[chattest.Message]map[string]any{}}
	f.Add(encoded(far.message(hello)))
	f.Add(encoded(far.message(chattest.Message{Conversation: 3, Text: "<at>x</at>", Way: "text"})))
	f.Add(encoded(far.invoke(0, 1, 2, "cancel k7f3q2")))
	f.Add([]byte(`{"type":"message","conversation":{"id":"a"},"channelData":{"tenant":{"id":"` + farTenant + `"}},"value":{"action":7}}`))
	f.Add([]byte(`{"type":"invoke","name":"adaptiveCard/action","value":{"action":{"data":null}},"entities":[{"type":"mention","text":null}]}`))
	f.Add([]byte(`{"type":"installationUpdate","action":"add","conversation":{"id":"` + strings.Repeat("x", maxID+1) + `"}}`))
	b := &box{}
	a, err := New(Config{
		AppID: farApp, TenantID: farTenant, ServiceHosts: []string{"127.0.0.1:9"},
		AllowHTTPLoopback: true, UnauthenticatedLoopback: true,
	}, chat.Env{Account: "work", Inbox: b, Clock: hand.clock})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b.got = nil
		r := httptest.NewRequest(http.MethodPost, "http://localhost/messages", bytes.NewReader(body))
		r.RemoteAddr = "127.0.0.1:1234"
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusNotImplemented {
			t.Errorf("it was answered with %d", w.Code)
		}
		if w.Code != http.StatusOK && len(b.got) > 0 {
			t.Errorf("it was answered with %d and handed in", w.Code)
		}
		for _, m := range b.got {
			if m.ID == "" || m.Sender.User == "" || m.Sender.Workspace != farTenant || m.Conversation.Key == "" || len(m.Conversation.Key) > maxID {
				t.Errorf("%+v was handed in", m)
			}
			if _, err := conversationOf(m.Conversation); err != nil {
				t.Error(err)
			}
		}
	})
}
