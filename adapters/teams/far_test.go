package teams

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

const (
	farApp      = "11111111-2222-3333-4444-555555555555"
	farTenant   = "aaaaaaaa-0000-4000-8000-00000000000a"
	farPassword = "p4ssw0rd~of-the-app"
	farToken    = "the.token.of-the-app"
	farIssuer   = "https://api.botframework.com"
	// teamsWaits is how long Teams waits for an answer.
	teamsWaits = 15 * time.Second
)

// Keys take long to make, so all far sides share them.
var (
	goodKey  = sync.OnceValue(newKey)
	otherKey = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// sign makes a token as RFC 7515 has it, with none of our own code.
func sign(key *rsa.PrivateKey, header, claims map[string]any) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	text := b64(h) + "." + b64(c)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(sig)
}

// jwkOf is the public half of a key as RFC 7517 has it.
func jwkOf(key *rsa.PrivateKey, kid string, endorsements ...string) map[string]any {
	return map[string]any{
		"kty": "RSA", "use": "sig", "kid": kid, "x5t": kid, "endorsements": endorsements, "x5c": []string{"MIIC+not/a=certificate"},
		"n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes()),
	}
}

// microsoft is the far side: the keys, the login, and the Bot Connector.
type microsoft struct {
	chattest.Called[*Adapter]
	clock chat.Clock
	srv   *httptest.Server

	mu     sync.Mutex
	locked bool
	n      int
	said   map[chattest.Message]map[string]any
	posts  []post
	// metadata and keys are what is served; fetched counts what was.
	metadata       any
	keys           []map[string]any
	fetchedMeta    int
	fetchedKeys    int
	keysUnreadable bool
}

type post struct {
	conversation, replyTo string
	body                  []byte
	deleted               bool
}

// place is a conversation of the far side.
type place struct{ id, kind string }

var places = []place{
	{"19:group@thread.v2", groupChat},
	{"19:channel@thread.tacv2;messageid=1700000000001", inChannel},
	{"19:channel@thread.tacv2;messageid=1700000000002", inChannel},
	{"a:1personal-chat_with-a-person", personal},
}

func person(p int) string { return fmt.Sprintf("bbbbbbbb-0000-4000-8000-%012d", p) }

func newMicrosoft(t *testing.T, clock chat.Clock) *microsoft {
	t.Helper()
	f := &microsoft{clock: clock, said: make(map[chattest.Message]map[string]any)}
	f.srv = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.srv.Close)
	f.metadata = map[string]any{
		"issuer": farIssuer, "jwks_uri": f.srv.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
	}
	f.keys = []map[string]any{
		{"kty": "EC", "kid": "elliptic", "crv": "P-256", "x": "AA", "y": "AA"},
		{"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
		jwkOf(goodKey(), "good", "webchat", "msteams"),
		jwkOf(goodKey(), "elsewhere", "webchat"),
	}
	return f
}

func (f *microsoft) config() Config {
	return Config{
		AppID: farApp, AppPassword: farPassword, TenantID: farTenant,
		OpenIDMetadataURL: f.srv.URL + "/metadata", TokenURL: f.srv.URL + "/token",
		ServiceHosts: []string{strings.TrimPrefix(f.srv.URL, "http://")}, AllowHTTPLoopback: true,
	}
}

func startMicrosoft(t *testing.T, env chat.Env) chattest.Far {
	f := newMicrosoft(t, env.Clock)
	f.Restart(t, env)
	return f
}

func (f *microsoft) Restart(t *testing.T, env chat.Env) chat.Adapter {
	t.Helper()
	a, err := New(f.config(), env)
	if err != nil {
		t.Fatal(err)
	}
	f.Put(t, a)
	return a
}

func (f *microsoft) Lock(_ *testing.T, locked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locked = locked
}

func (f *microsoft) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	switch {
	case r.URL.Path == "/metadata":
		f.fetchedMeta++
		answer(http.StatusOK, f.metadata)
	case r.URL.Path == "/keys":
		f.fetchedKeys++
		if f.keysUnreadable {
			answer(http.StatusInternalServerError, nil)
			return
		}
		answer(http.StatusOK, map[string]any{"keys": f.keys})
	case r.URL.Path == "/token":
		if f.locked || r.PostFormValue("client_secret") != farPassword || r.PostFormValue("client_id") != farApp {
			answer(http.StatusUnauthorized, map[string]any{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."})
			return
		}
		answer(http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": farToken})
	case f.locked || r.Header.Get("Authorization") != "Bearer "+farToken:
		answer(http.StatusUnauthorized, map[string]any{"message": "Authorization has been denied for this request."})
	default:
		f.connector(answer, r)
	}
}

// connector takes what is sent: POST …/conversations/{id}/activities[/{id}],
// PUT …/conversations/{id}/activities/{id}.
func (f *microsoft) connector(answer func(int, any), r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/connector/v3/conversations/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 2 || parts[1] != "activities" {
		answer(http.StatusNotFound, nil)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if len(body) > 90<<10 {
		answer(http.StatusRequestEntityTooLarge, map[string]any{"error": map[string]any{"code": "MessageSizeTooBig"}})
		return
	}
	id, _ := url.PathUnescape(parts[0])
	p := post{conversation: id, body: body}
	if len(parts) > 2 {
		p.replyTo, _ = url.PathUnescape(parts[2])
	}
	switch r.Method {
	case http.MethodPut:
		var at int
		if n, _ := fmt.Sscanf(p.replyTo, "sent-%d", &at); n != 1 || at >= len(f.posts) || f.posts[at].conversation != id || f.posts[at].deleted {
			answer(http.StatusNotFound, map[string]any{"error": map[string]any{"code": "ActivityNotFoundInConversation"}})
			return
		}
		f.posts[at].body = body
		answer(http.StatusOK, map[string]any{"id": p.replyTo})
	case http.MethodPost:
		var a struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(body, &a)
		if a.Type == "message" {
			f.posts = append(f.posts, p)
		}
		answer(http.StatusCreated, map[string]any{"id": fmt.Sprintf("sent-%d", len(f.posts)-1)})
	default:
		answer(http.StatusMethodNotAllowed, nil)
	}
}

// receipt delivers an activity. What the bot says in the meantime is what the
// asker is told.
func (f *microsoft) receipt(t *testing.T, a map[string]any) chattest.Receipt {
	t.Helper()
	before := len(f.sent())
	status, body := f.Call(f.request(encoded(a)), teamsWaits)
	r := chattest.Receipt{Taken: status >= 200 && status < 300, Told: string(body)}
	for _, p := range f.sent()[before:] {
		r.Told += string(p.body)
	}
	return r
}

func (f *microsoft) sent() []post {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.posts)
}

func (f *microsoft) Say(t *testing.T, m chattest.Message) chattest.Receipt {
	return f.receipt(t, f.message(m))
}

func (f *microsoft) Again(t *testing.T, m chattest.Message) chattest.Receipt {
	f.mu.Lock()
	a := f.said[m]
	f.mu.Unlock()
	return f.receipt(t, a)
}

func (f *microsoft) Request(_ *testing.T, m chattest.Message) *http.Request {
	return f.request(encoded(f.message(m)))
}

func (f *microsoft) Expect(m chattest.Message) chat.Inbound {
	place := places[m.Conversation]
	channel, _, _ := strings.Cut(place.id, ";")
	return chat.Inbound{
		Sender:       chat.Sender{Account: chattest.Account, Workspace: farTenant, User: person(m.Person)},
		Conversation: chat.ConversationRef{Account: chattest.Account, Channel: channel},
		Text:         m.Text, Direct: place.kind == personal, Addressed: place.kind != personal,
	}
}

func (f *microsoft) Join(t *testing.T, c int) chattest.Receipt {
	added := f.activity("conversationUpdate", c, 0)
	added["membersAdded"] = []any{map[string]any{"id": "29:1-person_0"}, map[string]any{"id": "28:" + farApp}}
	installed := f.activity("installationUpdate", c, 0)
	installed["action"] = "add"
	first, second := f.receipt(t, added), f.receipt(t, installed)
	return chattest.Receipt{Taken: first.Taken && second.Taken}
}

func (f *microsoft) Click(t *testing.T, label string, p int) chattest.Receipt {
	t.Helper()
	on, in, command := -1, 0, ""
	for i, sent := range f.sent() {
		s, err := asShown(sent.body)
		if err != nil {
			t.Fatal(err)
		}
		if order, ok := s.Orders[label]; ok {
			on, in, command = i, placeOf(sent.conversation), order
		}
	}
	if on < 0 {
		t.Fatalf("there is no button %s", label)
	}
	return f.receipt(t, f.invoke(p, on, in, command))
}

func placeOf(id string) int {
	return slices.IndexFunc(places, func(p place) bool { return p.id == id })
}

func (f *microsoft) Delete(t *testing.T, conversation int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, p := range slices.Backward(f.posts) {
		if placeOf(p.conversation) == conversation && !p.deleted {
			f.posts[i].deleted = true
			return
		}
	}
	t.Fatalf("there is no message in conversation %d", conversation)
}

func (f *microsoft) Shown(t *testing.T) []chattest.Shown {
	t.Helper()
	all := make([]chattest.Shown, 0)
	for _, sent := range f.sent() {
		if sent.deleted {
			continue
		}
		s, err := asShown(sent.body)
		if err != nil {
			t.Errorf("what was sent cannot be shown: %v", err)
		}
		one := chattest.Shown{Conversation: placeOf(sent.conversation), Text: s.Text}
		for _, id := range s.Notified {
			var p int
			if n, _ := fmt.Sscanf(id, "29:1-person_%d", &p); n == 1 {
				id = person(p)
			}
			one.Notified = append(one.Notified, id)
		}
		all = append(all, one)
	}
	return all
}
