package wecom

import (
	"encoding/json"
	"encoding/xml"
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

	"github.com/letserverrun/skadi/adapters/wechat/envelope/envelopetest"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

const (
	farCorp   = "ww0123456789abcdef"
	farAgent  = 1000002
	farSecret = "s3cret-0f-the-app"
	farWord   = "w0rd0fTheCallback"
	farKey    = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	farMember = "Ada.Lovelace"
	// weComWaits is how long WeCom waits for an answer.
	weComWaits = 5 * time.Second
)

// far seals and opens as WeCom does.
var far = envelopetest.Far{Token: farWord, EncodingAESKey: farKey, ID: farCorp}

// weCom is the far side: it calls the application, gives tokens and takes
// messages. It is written from Tencent's documentation alone.
type weCom struct {
	chattest.Called[*Adapter]
	clock    chat.Clock
	srv      *httptest.Server
	markdown bool

	mu     sync.Mutex
	locked bool
	n      int
	said   map[chattest.Message]string
	// tokens counts those that were given; only the newest is good.
	tokens   int
	loggedIn chan struct{}
	posts    []post
	tasks    map[string]bool
	// answers are what the next messages are answered with.
	answers []map[string]any
	// replaced are the labels that clicked buttons show now.
	replaced []string
}

// post is a message that a member got.
type post struct {
	body map[string]any
	raw  []byte
}

func newWeCom(t *testing.T, clock chat.Clock) *weCom {
	t.Helper()
	f := &weCom{
		clock: clock, said: make(map[chattest.Message]string), tasks: make(map[string]bool),
		loggedIn: make(chan struct{}),
	}
	f.srv = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.srv.Close)
	return f
}

func startWeCom(t *testing.T, env chat.Env) *weCom {
	t.Helper()
	f := newWeCom(t, env.Clock)
	f.Restart(t, env)
	return f
}

func (f *weCom) Restart(t *testing.T, env chat.Env) chat.Adapter {
	t.Helper()
	a, err := New(Config{
		CorpID: farCorp, AgentID: farAgent, Secret: farSecret, Token: farWord, EncodingAESKey: farKey,
		Markdown: f.markdown, APIURL: f.srv.URL + "/gateway/",
	}, env)
	if err != nil {
		t.Fatal(err)
	}
	f.Put(t, a)
	return a
}

func (f *weCom) Lock(_ *testing.T, locked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locked = locked
}

func (f *weCom) token() string { return fmt.Sprintf("t0ken-%d", f.tokens) }

// expire makes the newest token bad.
func (f *weCom) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens++
}

func (f *weCom) given() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens
}

// answersWith answers the next messages like this.
func (f *weCom) answersWith(answers ...map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = answers
}

// fault is an answer with an error.
func fault(code int, text string) map[string]any {
	return map[string]any{"errcode": code, "errmsg": text}
}

func (f *weCom) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := r.URL.Query()
	var answer map[string]any
	switch r.URL.Path {
	case "/gateway/cgi-bin/gettoken":
		switch {
		case q.Get("corpid") != farCorp:
			answer = fault(40013, "invalid corpid")
		case f.locked || q.Get("corpsecret") != farSecret:
			answer = fault(40001, "invalid credential, hint: [1], from ip: 192.0.2.1")
		default:
			if f.tokens++; f.tokens == 1 {
				close(f.loggedIn)
			}
			answer = map[string]any{"errcode": 0, "errmsg": "ok", "access_token": f.token(), "expires_in": 7200}
		}
	case "/gateway/cgi-bin/message/send":
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		answer = f.take(q, raw)
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(answer)
}

var taskID = regexp.MustCompile(`^[0-9A-Za-z_@-]{1,128}$`)

// take takes a message for a member. It is called with the lock held.
func (f *weCom) take(q url.Values, raw []byte) map[string]any {
	var m map[string]any
	err := json.Unmarshal(raw, &m)
	if len(f.answers) > 0 {
		answer := f.answers[0]
		f.answers = f.answers[1:]
		return answer
	}
	said := func(kind string) string {
		part, _ := m[kind].(map[string]any)
		text, _ := part["content"].(string)
		return text
	}
	switch {
	case f.locked || q.Get("access_token") != f.token():
		return fault(40014, "invalid access_token")
	case err != nil:
		return fault(47001, "data format error")
	case m["agentid"] != float64(farAgent):
		return fault(40056, "invalid agentid")
	case m["touser"] != farMember:
		return fault(81013, "user & party & tag all invalid")
	}
	switch m["msgtype"] {
	case "text", "markdown":
		text := said(m["msgtype"].(string))
		if text == "" {
			return fault(44004, "empty content")
		}
		if len(text) > 2048 {
			return fault(45002, "content size exceeds the limit")
		}
	case "template_card":
		card, _ := m["template_card"].(map[string]any)
		task, _ := card["task_id"].(string)
		buttons, _ := card["button_list"].([]any)
		if !taskID.MatchString(task) || f.tasks[task] || len(buttons) == 0 || len(buttons) > 6 {
			return fault(40058, "invalid template card")
		}
		f.tasks[task] = true
	default:
		return fault(40008, "invalid message type")
	}
	f.posts = append(f.posts, post{m, raw})
	return map[string]any{
		"errcode": 0, "errmsg": "ok", "invaliduser": "", "msgid": fmt.Sprintf("msg-%d", len(f.posts)), "response_code": "used-once",
	}
}

func (f *weCom) sent() []post {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.posts)
}

var link = regexp.MustCompile(`(?is)<a\s[^>]*>(.*?)</a\s*>`)

// words are what a member reads of a message.
func (p post) words() string {
	switch p.body["msgtype"] {
	case "text":
		return link.ReplaceAllString(p.body["text"].(map[string]any)["content"].(string), "$1")
	case "markdown":
		return p.body["markdown"].(map[string]any)["content"].(string)
	}
	card := p.body["template_card"].(map[string]any)
	title := card["main_title"].(map[string]any)
	words := fmt.Sprint(title["title"], "\n", title["desc"], "\n", card["sub_title_text"])
	for _, b := range card["button_list"].([]any) {
		words += "\n[" + b.(map[string]any)["text"].(string) + "]"
	}
	return words
}

// signed is the query of a call.
func (f *weCom) signed(sealed, word string, late time.Duration) url.Values {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	nonce, at := strconv.Itoa(1000000+f.n), strconv.FormatInt(f.clock().Add(late).Unix(), 10)
	return url.Values{"msg_signature": {envelopetest.Sign(word, at, nonce, sealed)}, "timestamp": {at}, "nonce": {nonce}}
}

// request makes the call that brings a message.
func (f *weCom) request(message string) *http.Request {
	return f.requestFor(message, farCorp, farWord, 0)
}

func (f *weCom) requestFor(message, corp, word string, late time.Duration) *http.Request {
	sealed := envelopetest.Far{EncodingAESKey: farKey, ID: corp}.Seal(message)
	q := f.signed(sealed, word, late)
	body := "<xml><ToUserName>" + envelopetest.CDATA(farCorp) + "</ToUserName><Encrypt>" + envelopetest.CDATA(sealed) + "</Encrypt><AgentID>" +
		envelopetest.CDATA(strconv.Itoa(farAgent)) + "</AgentID></xml>"
	r := httptest.NewRequest(http.MethodPost, "/callback?"+q.Encode(), strings.NewReader(body))
	r.Header.Set("Content-Type", "text/xml")
	return r
}

// message is the XML of something that a member does. Each has a time of its own.
func (f *weCom) message(rest string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	return fmt.Sprintf("<xml><ToUserName>%s</ToUserName><FromUserName>%s</FromUserName><CreateTime>%d</CreateTime>%s<AgentID>%d</AgentID></xml>",
		envelopetest.CDATA(farCorp), envelopetest.CDATA(farMember), f.clock().Add(time.Duration(f.n)*time.Second).Unix(), rest, farAgent)
}

func (f *weCom) written(m chattest.Message) string {
	var message string
	if m.Way == "menu" {
		message = f.message("<MsgType>" + envelopetest.CDATA("event") + "</MsgType><Event>" + envelopetest.CDATA("click") + "</Event><EventKey>" + envelopetest.CDATA(m.Text) + "</EventKey>")
	} else {
		f.mu.Lock()
		f.n++
		id := 6054768590064713728 + int64(f.n)
		f.mu.Unlock()
		message = f.message(fmt.Sprintf("<MsgType>%s</MsgType><Content>%s</Content><MsgId>%d</MsgId>", envelopetest.CDATA("text"), envelopetest.CDATA(m.Text), id))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said[m] = message
	return message
}

func (f *weCom) event(name, more string) string {
	return f.message("<MsgType>" + envelopetest.CDATA("event") + "</MsgType><Event>" + envelopetest.CDATA(name) + "</Event>" + more)
}

// receipt delivers a message once Run has logged in, so that its login does not
// meet the trouble that a test makes.
func (f *weCom) receipt(t *testing.T, message string) chattest.Receipt {
	t.Helper()
	select {
	case <-f.loggedIn:
	case <-time.After(weComWaits):
		t.Error("the application does not log in")
	}
	status, body := f.Call(f.request(message), weComWaits)
	if status == http.StatusOK && len(body) > 0 {
		var m struct {
			ToUserName, FromUserName, MsgType string
			Button                            struct{ ReplaceName string }
		}
		if err := xml.Unmarshal(far.Open(t, body), &m); err != nil {
			t.Fatal(err)
		}
		if m.ToUserName != farMember || m.FromUserName != farCorp || m.MsgType != "update_button" {
			t.Errorf("a click is answered with %+v", m)
		}
		f.mu.Lock()
		f.replaced = append(f.replaced, m.Button.ReplaceName)
		f.mu.Unlock()
	}
	return chattest.Receipt{Taken: status == http.StatusOK}
}

func (f *weCom) Say(t *testing.T, m chattest.Message) chattest.Receipt {
	return f.receipt(t, f.written(m))
}

func (f *weCom) Again(t *testing.T, m chattest.Message) chattest.Receipt {
	f.mu.Lock()
	message := f.said[m]
	f.mu.Unlock()
	return f.receipt(t, message)
}

func (f *weCom) Request(_ *testing.T, m chattest.Message) *http.Request {
	return f.request(f.written(m))
}

func (f *weCom) Expect(m chattest.Message) chat.Inbound {
	return chat.Inbound{
		Sender:       chat.Sender{Account: chattest.Account, Workspace: farCorp, User: strings.ToLower(farMember)},
		Conversation: chat.ConversationRef{Account: chattest.Account, Channel: strings.ToLower(farMember)},
		Text:         m.Text, Direct: true, Addressed: true,
	}
}

// Join has the member open the application, again and again.
func (f *weCom) Join(t *testing.T, _ int) chattest.Receipt {
	for range 2 {
		if r := f.receipt(t, f.event("enter_agent", "<EventKey></EventKey>")); !r.Taken {
			return r
		}
	}
	return f.receipt(t, f.event("subscribe", ""))
}

func (f *weCom) Click(t *testing.T, label string, _ int) chattest.Receipt {
	t.Helper()
	all := f.sent()
	for _, p := range slices.Backward(all) {
		card, ok := p.body["template_card"].(map[string]any)
		if !ok {
			continue
		}
		for _, b := range card["button_list"].([]any) {
			if b := b.(map[string]any); b["text"] == label {
				return f.receipt(t, f.event("template_card_event", "<EventKey>"+envelopetest.CDATA(b["key"].(string))+"</EventKey><TaskId>"+
					envelopetest.CDATA(card["task_id"].(string))+"</TaskId><CardType>"+envelopetest.CDATA("button_interaction")+"</CardType><ResponseCode>"+envelopetest.CDATA("once")+"</ResponseCode>"))
			}
		}
	}
	t.Fatalf("no card has a button %s", label)
	return chattest.Receipt{}
}

func (f *weCom) Shown(*testing.T) []chattest.Shown {
	all := make([]chattest.Shown, 0)
	for _, p := range f.sent() {
		all = append(all, chattest.Shown{Text: p.words()})
	}
	return all
}
