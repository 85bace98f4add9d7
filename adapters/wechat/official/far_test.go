package official

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/adapters/wechat/envelope/envelopetest"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

const (
	farApp    = "wx0123456789abcdef"
	farSecret = "s3cret-0f-the-app"
	farWord   = "w0rd-0f-the-callback"
	farKey    = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	farGh     = "gh_0123456789ab"
	// weChatWaits is how long WeChat waits for an answer.
	weChatWaits = 5 * time.Second
)

// far seals and opens as WeChat does.
var far = envelopetest.Far{Token: farWord, EncodingAESKey: farKey, ID: farApp}

func openID(p int) string { return fmt.Sprintf("oPerson_%d-of_WeChat000000", p) }

// weChat is the far side: it calls the account, gives tokens and takes
// customer-service messages. It is written from Tencent's documentation alone.
type weChat struct {
	chattest.Called[*Adapter]
	clock chat.Clock
	srv   *httptest.Server

	mu     sync.Mutex
	locked bool
	plain  bool
	n      int
	said   map[chattest.Message]string
	// loggedIn is closed once the account has got a token.
	loggedIn chan struct{}
	// tokens counts those that were given; only the newest is good.
	tokens    int
	expiresIn int
	posts     []post
	// codes are the errcodes that the next messages are answered with.
	codes []int
}

// post is a message that a person got.
type post struct{ to, text string }

func newWeChat(t *testing.T, clock chat.Clock) *weChat {
	t.Helper()
	f := &weChat{clock: clock, said: make(map[chattest.Message]string), expiresIn: 7200, loggedIn: make(chan struct{})}
	f.srv = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.srv.Close)
	return f
}

func (f *weChat) config() Config {
	cfg := Config{AppID: farApp, AppSecret: farSecret, Token: farWord, EncodingAESKey: farKey, APIURL: f.srv.URL + "/gateway"}
	if f.plain {
		cfg.Plain, cfg.EncodingAESKey = true, ""
	}
	return cfg
}

func (f *weChat) Restart(t *testing.T, env chat.Env) chat.Adapter {
	t.Helper()
	a, err := New(f.config(), env)
	if err != nil {
		t.Fatal(err)
	}
	a.patience = 0
	f.Put(t, a)
	return a
}

func (f *weChat) Lock(_ *testing.T, locked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locked = locked
}

// expire makes the newest token bad.
func (f *weChat) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens++
}

func (f *weChat) token() string { return fmt.Sprintf("t0ken-%d", f.tokens) }

func (f *weChat) given() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens
}

// fails answers the next messages with these codes.
func (f *weChat) fails(codes ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.codes = codes
}

func (f *weChat) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := func(body any) {
		w.Header().Set("Content-Type", "application/json; encoding=utf-8")
		_ = json.NewEncoder(w).Encode(body)
	}
	fault := func(code int, text string) { answer(map[string]any{"errcode": code, "errmsg": text}) }
	q := r.URL.Query()
	switch r.URL.Path {
	case "/gateway/cgi-bin/token":
		switch {
		case q.Get("grant_type") != "client_credential" || q.Get("appid") != farApp:
			fault(40013, "invalid appid")
		case f.locked || q.Get("secret") != farSecret:
			fault(40125, "invalid appsecret, rid: 0")
		default:
			if f.tokens++; f.tokens == 1 {
				close(f.loggedIn)
			}
			answer(map[string]any{"access_token": f.token(), "expires_in": f.expiresIn})
		}
	case "/gateway/cgi-bin/stable_token": // a sort of its own, which spends no other
		var m struct {
			Grant   string `json:"grant_type"`
			App     string `json:"appid"`
			Secret  string `json:"secret"`
			Renewed bool   `json:"force_refresh"`
		}
		err := json.NewDecoder(r.Body).Decode(&m)
		switch {
		case err != nil || r.Method != http.MethodPost || m.Grant != "client_credential" || m.App != farApp:
			fault(40013, "invalid appid")
		case m.Renewed:
			fault(45009, "as the test says: this would end the one before")
		case f.locked || m.Secret != farSecret:
			fault(40125, "invalid appsecret, rid: 0")
		default:
			answer(map[string]any{"access_token": "stable-t0ken", "expires_in": f.expiresIn})
		}
	case "/gateway/cgi-bin/message/custom/send":
		var m struct {
			To   string `json:"touser"`
			Kind string `json:"msgtype"`
			Text struct {
				Content string `json:"content"`
			} `json:"text"`
		}
		err := json.NewDecoder(r.Body).Decode(&m)
		switch {
		case f.locked || q.Get("access_token") != f.token():
			fault(40001, "invalid credential, access_token is invalid or not latest")
		case len(f.codes) > 0:
			code := f.codes[0]
			f.codes = f.codes[1:]
			fault(code, "as the test says")
		case err != nil || m.Kind != "text":
			fault(47001, "data format error")
		case len(m.Text.Content) > 2048:
			fault(45002, "content size out of limit")
		default:
			f.posts = append(f.posts, post{m.To, m.Text.Content})
			fault(0, "ok")
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// request makes the call that brings a message.
func (f *weChat) request(message string) *http.Request {
	f.mu.Lock()
	f.n++
	nonce, at := strconv.Itoa(1000000+f.n), strconv.FormatInt(f.clock().Unix(), 10)
	f.mu.Unlock()
	return f.signed(message, at, nonce, farWord)
}

func (f *weChat) signed(message, at, nonce, word string) *http.Request {
	q := url.Values{"timestamp": {at}, "nonce": {nonce}, "openid": {openID(0)}, "signature": {envelopetest.Sign(word, at, nonce)}}
	if !f.plain {
		sealed := far.Seal(message)
		q.Set("encrypt_type", "aes")
		q.Set("msg_signature", envelopetest.Sign(word, at, nonce, sealed))
		message = "<xml><ToUserName>" + envelopetest.CDATA(farGh) + "</ToUserName><Encrypt>" + envelopetest.CDATA(sealed) + "</Encrypt></xml>"
	}
	r := httptest.NewRequest(http.MethodPost, "/callback?"+q.Encode(), strings.NewReader(message))
	r.Header.Set("Content-Type", "text/xml")
	return r
}

// written is the XML of a message. Each has an ID and a time of its own.
func (f *weChat) written(m chattest.Message) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	at := f.clock().Add(time.Duration(f.n) * time.Second).Unix()
	head := fmt.Sprintf("<xml><ToUserName>%s</ToUserName>\n<FromUserName>%s</FromUserName>\n<CreateTime>%d</CreateTime>\n",
		envelopetest.CDATA(farGh), envelopetest.CDATA(openID(m.Person)), at)
	var body string
	switch m.Way {
	case "menu":
		body = "<MsgType>" + envelopetest.CDATA("event") + "</MsgType><Event>" + envelopetest.CDATA("CLICK") + "</Event><EventKey>" + envelopetest.CDATA(m.Text) + "</EventKey>"
	case "voice":
		body = fmt.Sprintf("<MsgType>%s</MsgType><MediaId>%s</MediaId><Format>%s</Format><Recognition>%s</Recognition><MsgId>%d</MsgId>",
			envelopetest.CDATA("voice"), envelopetest.CDATA("media"), envelopetest.CDATA("amr"), envelopetest.CDATA(m.Text), 6054768590064713728+int64(f.n))
	default:
		body = fmt.Sprintf("<MsgType>%s</MsgType>\n<Content>%s</Content>\n<MsgId>%d</MsgId>", envelopetest.CDATA("text"), envelopetest.CDATA(m.Text), 23456789012345678+int64(f.n))
	}
	message := head + body + "</xml>"
	f.said[m] = message
	return message
}

// passive reads the text that answers within a call; empty for success.
func (f *weChat) passive(t *testing.T, body []byte) string {
	t.Helper()
	if string(body) == "success" {
		return ""
	}
	if !f.plain {
		body = far.Open(t, body)
	}
	var m struct{ ToUserName, FromUserName, CreateTime, MsgType, Content string }
	if err := xml.Unmarshal(body, &m); err != nil {
		t.Fatalf("an answer is %q: %v", body, err)
	}
	if m.FromUserName != farGh || m.MsgType != "text" || m.Content == "" {
		t.Errorf("an answer is %+v", m)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.posts = append(f.posts, post{m.ToUserName, m.Content})
	return m.Content
}

func (f *weChat) receipt(t *testing.T, message string) chattest.Receipt {
	t.Helper()
	status, body := f.Call(f.request(message), weChatWaits)
	if status != http.StatusOK {
		return chattest.Receipt{}
	}
	return chattest.Receipt{Taken: true, Told: f.passive(t, body)}
}

func (f *weChat) sent() []post {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.posts)
}

func (f *weChat) Say(t *testing.T, m chattest.Message) chattest.Receipt {
	t.Helper()
	select { // trouble that a test makes is for Send, and not for the login
	case <-f.loggedIn:
	case <-time.After(20 * time.Second):
		t.Fatal("the account does not log in")
	}
	return f.receipt(t, f.written(m))
}

func (f *weChat) Again(t *testing.T, m chattest.Message) chattest.Receipt {
	f.mu.Lock()
	message := f.said[m]
	f.mu.Unlock()
	return f.receipt(t, message)
}

func (f *weChat) Request(_ *testing.T, m chattest.Message) *http.Request {
	return f.request(f.written(m))
}

func (f *weChat) Expect(m chattest.Message) chat.Inbound {
	messages := 5
	if m.Way == "menu" {
		messages = 3
	}
	return chat.Inbound{
		Sender:       chat.Sender{Account: chattest.Account, Workspace: farApp, User: openID(m.Person)},
		Conversation: chat.ConversationRef{Account: chattest.Account, Quota: &chat.Quota{Messages: messages}},
		Text:         m.Text, Direct: true, Addressed: true,
	}
}

// event is the XML of an event.
func (f *weChat) event(name, key string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	return fmt.Sprintf("<xml><ToUserName>%s</ToUserName><FromUserName>%s</FromUserName><CreateTime>%d</CreateTime>"+
		"<MsgType>%s</MsgType><Event>%s</Event><EventKey>%s</EventKey></xml>",
		envelopetest.CDATA(farGh), envelopetest.CDATA(openID(0)), f.clock().Add(time.Duration(f.n)*time.Second).Unix(), envelopetest.CDATA("event"), envelopetest.CDATA(name), envelopetest.CDATA(key))
}

func (f *weChat) Join(t *testing.T, _ int) chattest.Receipt {
	return f.receipt(t, f.event("subscribe", "qrscene_1"))
}

func (f *weChat) Shown(*testing.T) []chattest.Shown {
	all := make([]chattest.Shown, 0)
	for _, p := range f.sent() {
		c := 0
		if p.to != openID(0) {
			c = 1
		}
		all = append(all, chattest.Shown{Conversation: c, Text: p.text})
	}
	return all
}
