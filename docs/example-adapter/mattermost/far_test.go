package mattermost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

const (
	farBot     = "botbotbotbotbotbotbotbot00"
	farOther   = "botbotbotbotbotbotbotbot11"
	farToken   = "secretsecretofthebot000000"
	farHook    = "secretsecretofthehook00000"
	farSecond  = "secretsecretofthehook11111"
	farTrigger = "@skadi"
	// inThread is the conversation where everybody writes below an old post.
	inThread = 1
	// mattermostWaits is its OutgoingIntegrationRequestsTimeout.
	mattermostWaits = 30 * time.Second
)

// farPost is a post on the far side.
type farPost struct {
	user, channel, root, message string
	deleted                      bool
}

// mattermost is the far side: the REST API, and webhooks that go out. It is
// written with no code of the adapter's.
type mattermost struct {
	chattest.Called[*Adapter]
	srv   *httptest.Server
	clock chat.Clock

	mu      sync.Mutex
	locked  bool
	fail    http.HandlerFunc // answers every call, if set
	posts   map[string]*farPost
	order   []string
	pending map[string]string
	said    map[chattest.Message]url.Values
}

func channelID(c int) string { return fmt.Sprintf("channel%019d", c) }
func personID(p int) string  { return fmt.Sprintf("person%020d", p) }
func personName(p int) string {
	return []string{"ada", "grace.h-1", "edsger_w"}[p]
}

func startMattermost(t *testing.T, env chat.Env) chattest.Far { return newMattermost(t, env) }

func newMattermost(t *testing.T, env chat.Env) *mattermost {
	t.Helper()
	f := &mattermost{
		clock: env.Clock, posts: make(map[string]*farPost),
		pending: make(map[string]string), said: make(map[chattest.Message]url.Values),
	}
	f.srv = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.srv.Close)
	f.Restart(t, env)
	f.add(&farPost{user: personID(0), channel: channelID(inThread), message: "long ago"})
	return f
}

func (f *mattermost) config() Config {
	return Config{
		Server: f.srv.URL + "/", BotToken: farToken, BotUserID: farBot,
		WebhookTokens: []chat.Secret{farHook, farSecond}, IgnoreUsers: []string{farOther},
	}
}

func (f *mattermost) Restart(t *testing.T, env chat.Env) chat.Adapter {
	t.Helper()
	a, err := New(f.config(), env)
	if err != nil {
		t.Fatal(err)
	}
	f.Put(t, a)
	return a
}

func (f *mattermost) Lock(_ *testing.T, locked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locked = locked
}

func (f *mattermost) failWith(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = h
}

// add keeps a post and returns its ID.
func (f *mattermost) add(p *farPost) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addLocked(p)
}

func (f *mattermost) addLocked(p *farPost) string {
	id := fmt.Sprintf("post%022d", len(f.order))
	f.posts[id], f.order = p, append(f.order, id)
	return id
}

func refused(w http.ResponseWriter, status int, id string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"id": id, "message": "No.", "status_code": status})
}

// serve is the REST API.
func (f *mattermost) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.fail != nil:
		f.fail(w, r)
		return
	case f.locked || r.Header.Get("Authorization") != "Bearer "+farToken:
		refused(w, http.StatusUnauthorized, "api.context.session_expired.app_error")
		return
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v4/"), "/")
	switch r.Method + " " + parts[0] {
	case "GET users":
		_ = json.NewEncoder(w).Encode(map[string]any{"id": farBot, "username": "skadi", "is_bot": true})
	case "GET channels":
		if !strings.HasPrefix(parts[1], "channel") {
			refused(w, http.StatusForbidden, "api.context.permissions.app_error")
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"id": parts[1], "type": "O", "display_name": "Ops"})
	case "GET posts":
		f.show(w, parts[1])
	case "POST posts":
		f.create(w, body)
	case "PUT posts":
		f.patch(w, parts, body)
	default:
		refused(w, http.StatusNotFound, "api.context.404.app_error")
	}
}

func (f *mattermost) show(w http.ResponseWriter, id string) {
	p := f.posts[id]
	if p == nil || p.deleted {
		refused(w, http.StatusNotFound, "app.post.get.app_error")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"id": id, "user_id": p.user, "channel_id": p.channel, "root_id": p.root, "message": p.message,
	})
}

func (f *mattermost) create(w http.ResponseWriter, body []byte) {
	var in map[string]string
	if json.Unmarshal(body, &in) != nil || len([]rune(in["message"])) > 16383 {
		refused(w, http.StatusBadRequest, "model.post.is_valid.msg.app_error")
		return
	}
	if id := f.pending[in["pending_post_id"]]; id != "" {
		f.show(w, id)
		return
	}
	if in["root_id"] != "" {
		root := f.posts[in["root_id"]]
		if root == nil || root.deleted || root.root != "" || root.channel != in["channel_id"] {
			refused(w, http.StatusBadRequest, "api.post.create_post.root_id.app_error")
			return
		}
	}
	id := f.addLocked(&farPost{user: farBot, channel: in["channel_id"], root: in["root_id"], message: in["message"]})
	f.pending[in["pending_post_id"]] = id
	w.WriteHeader(http.StatusCreated)
	f.show(w, id)
}

func (f *mattermost) patch(w http.ResponseWriter, parts []string, body []byte) {
	var in map[string]string
	p := f.posts[parts[1]]
	switch {
	case len(parts) != 3 || parts[2] != "patch" || json.Unmarshal(body, &in) != nil || len([]rune(in["message"])) > 16383:
		refused(w, http.StatusBadRequest, "api.context.invalid_body_param.app_error")
	case p == nil || p.deleted:
		refused(w, http.StatusNotFound, "app.post.get.app_error")
	case p.user != farBot:
		refused(w, http.StatusForbidden, "api.context.permissions.app_error")
	default:
		p.message = in["message"]
		f.show(w, parts[1])
	}
}

// payload has somebody write a post, and returns what the webhook sends of it.
func (f *mattermost) payload(m chattest.Message) url.Values {
	p := &farPost{user: personID(m.Person), channel: channelID(m.Conversation), message: farTrigger + " " + m.Text}
	if m.Conversation == inThread {
		p.root = fmt.Sprintf("post%022d", 0)
	}
	id := f.add(p)
	v := url.Values{}
	for name, value := range map[string]string{
		"token": farHook, "team_id": "teamteamteamteamteamteam00", "team_domain": "work", "channel_id": p.channel,
		"channel_name": "ops", "timestamp": strconv.FormatInt(f.clock().Unix(), 10), "user_id": p.user,
		"user_name": personName(m.Person), "post_id": id, "text": p.message, "trigger_word": farTrigger, "file_ids": "",
	} {
		v.Set(name, value)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said[m] = v
	return v
}

// asJSON is the call of a webhook whose content type is JSON, where the time
// is a number, in milliseconds.
func asJSON(v url.Values) []byte {
	body := make(map[string]any)
	for name := range v {
		body[name] = v.Get(name)
	}
	seconds, _ := strconv.ParseInt(v.Get("timestamp"), 10, 64)
	body["timestamp"] = seconds * 1000
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return data
}

func request(contentType string, body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hook", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", "application/json")
	return r
}

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
	byJSON   = "json"
)

func requestOf(way string, v url.Values) *http.Request {
	if way == byJSON {
		return request(jsonType, asJSON(v))
	}
	return request(formType, []byte(v.Encode()))
}

// deliver makes a call to the adapter. What it answers may become a post.
func (f *mattermost) deliver(r *http.Request) (status int, told string) {
	status, body := f.Call(r, mattermostWaits)
	var said struct {
		Text string `json:"text"`
	}
	_ = json.Unmarshal(body, &said)
	return status, said.Text
}

func (f *mattermost) receipt(r *http.Request) chattest.Receipt {
	status, told := f.deliver(r)
	return chattest.Receipt{Taken: status == http.StatusOK, Told: told}
}

func (f *mattermost) Say(_ *testing.T, m chattest.Message) chattest.Receipt {
	return f.receipt(requestOf(m.Way, f.payload(m)))
}

// Again is what a proxy in between does that lost the answer.
func (f *mattermost) Again(_ *testing.T, m chattest.Message) chattest.Receipt {
	f.mu.Lock()
	v := f.said[m]
	f.mu.Unlock()
	return f.receipt(requestOf(m.Way, v))
}

func (f *mattermost) Request(_ *testing.T, m chattest.Message) *http.Request {
	return requestOf(m.Way, f.payload(m))
}

func (f *mattermost) Expect(m chattest.Message) chat.Inbound {
	return chat.Inbound{
		Sender:       chat.Sender{Account: chattest.Account, User: personID(m.Person)},
		Conversation: chat.ConversationRef{Account: chattest.Account, Channel: channelID(m.Conversation)},
		Text:         m.Text, Addressed: true,
	}
}

func (f *mattermost) Delete(t *testing.T, c int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range slices.Backward(f.order) {
		if p := f.posts[id]; p.user == farBot && p.channel == channelID(c) && !p.deleted {
			p.deleted = true
			return
		}
	}
	t.Fatalf("there is no message in conversation %d", c)
}

func (f *mattermost) Shown(t *testing.T) []chattest.Shown {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]chattest.Shown, 0)
	for _, id := range f.order {
		p := f.posts[id]
		if p.user != farBot || p.deleted {
			continue
		}
		var c int
		if _, err := fmt.Sscanf(p.channel, "channel%d", &c); err != nil {
			t.Errorf("there is a post in %q", p.channel)
		}
		if c == inThread && p.root == "" {
			t.Error("an answer stands outside the thread in which it was asked")
		}
		text, notified := rendered(p.message)
		all = append(all, chattest.Shown{Conversation: c, Text: text, Notified: notified})
	}
	return all
}

var (
	opening = regexp.MustCompile("(?m)^ {0,3}(`{3,}|~{3,})[^`\n]*\n")
	atName  = regexp.MustCompile(`@([a-z0-9._-]+)`)
	markup  = regexp.MustCompile("[*_~`<>\\[\\]|#]|://|:[a-z]+:")
)

// rendered is a post as people see it, and whom it notifies. A block of code
// ends where the least careful client would end it: at the first fence that is
// the last in its line.
func rendered(message string) (text string, notified []string) {
	outside := func(part string) {
		for _, m := range atName.FindAllStringSubmatch(part, -1) {
			notified = append(notified, idOf(m[1]))
		}
		text += markup.ReplaceAllString(part, "(markup)")
	}
	for {
		at := opening.FindStringSubmatchIndex(message)
		if at == nil {
			outside(message)
			return text, notified
		}
		outside(message[:at[0]])
		closing := regexp.MustCompile("(?m)" + message[at[2]:at[3]] + "[`~]* *$")
		message = message[at[1]:]
		end := closing.FindStringIndex(message)
		if end == nil {
			return text + message, notified
		}
		text += message[:end[0]]
		message = message[end[1]:]
	}
}

// idOf is who is notified by a name: somebody's ID, or a group as it is.
func idOf(name string) string {
	for p := range 3 {
		if personName(p) == name {
			return personID(p)
		}
	}
	return "@" + name
}
