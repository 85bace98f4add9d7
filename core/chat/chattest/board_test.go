package chattest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

// pagerWait is how long the board waits for an answer.
const pagerWait = time.Second

// board is the far side of a pager: three conversations, one of them a thread,
// and two people.
type board struct {
	fault string
	adapter
	srv, host *httptest.Server

	mu     sync.Mutex
	n      int
	locked bool
	said   map[chattest.Message]pagerEvent
	posts  []pagerPost
	gone   map[int]bool // which of them were deleted
}

// adapter is what calls to the host go to, which a restart replaces.
type adapter struct {
	mu  sync.Mutex
	now *pager
}

func (a *adapter) set(p *pager) *pager {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = p
	return p
}

func (a *adapter) get() *pager {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

var places = []pagerRef{{"R1", ""}, {"R1", "T1"}, {"R2", ""}}

func startBoard(fault string) func(*testing.T, chat.Env) chattest.Far {
	return func(t *testing.T, env chat.Env) chattest.Far {
		b := &board{fault: fault, said: map[chattest.Message]pagerEvent{}, gone: map[int]bool{}}
		b.srv = httptest.NewServer(http.HandlerFunc(b.serve))
		t.Cleanup(b.srv.Close)
		b.set(newPager(env, b.srv.URL, fault))
		b.host = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b.get().Handler().ServeHTTP(w, r)
		}))
		b.host.Config.ErrorLog = nil
		t.Cleanup(b.host.Close)
		return b
	}
}

func (b *board) Adapter() chat.Adapter { return b.get() }

func (b *board) Restart(_ *testing.T, env chat.Env) chat.Adapter {
	return b.set(newPager(env, b.srv.URL, b.fault))
}

func (b *board) Lock(_ *testing.T, locked bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.locked = locked
}

// serve takes the pager's posts.
func (b *board) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var post pagerPost
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch {
	case b.locked || r.Header.Get("Authorization") != "Bearer "+pagerToken:
		w.WriteHeader(http.StatusUnauthorized)
		return
	case len(post.Text) > pagerLongest:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	at := len(b.posts)
	if id, ok := strings.CutPrefix(r.URL.Path, "/messages/"); ok {
		at, _ = strconv.Atoi(id)
		if b.gone[at] {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		b.posts[at] = post
	} else {
		b.posts = append(b.posts, post)
	}
	_, _ = fmt.Fprintf(w, `{"id":"%d"}`, at)
}

// event makes the event of a message.
func (b *board) event(m chattest.Message) pagerEvent {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	place := places[m.Conversation]
	e := pagerEvent{
		ID: fmt.Sprint("e", b.n), Kind: "message", Room: place.Room, Thread: place.Thread,
		Person: fmt.Sprint("U", m.Person), Name: "Ada", Groups: []string{"W1/G1"},
		Text: pagerWrite.Replace(m.Text), At: time.Now().Unix(),
	}
	if m.Way != "" {
		e.Kind = m.Way
	}
	b.said[m] = e
	return e
}

func (b *board) request(e any, at time.Time) *http.Request {
	raw, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return b.signed(raw, at)
}

func (b *board) signed(raw []byte, at time.Time) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/events", bytes.NewReader(raw))
	r.Header.Set("X-At", fmt.Sprint(at.Unix()))
	r.Header.Set("X-Signature", pagerSign(r.Header.Get("X-At"), raw))
	return r
}

// deliver makes a call to the adapter, and returns the status and the text of
// the answer; 0 if there was none in time.
func (b *board) deliver(r *http.Request) (int, string) {
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", b.host.Listener.Addr().String(), ""
	client := http.Client{Timeout: pagerWait, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

func (b *board) receipt(e pagerEvent) chattest.Receipt {
	status, text := b.deliver(b.request(e, time.Now()))
	final := e.Kind == "command" || e.Kind == "click" // is never delivered again
	return chattest.Receipt{Taken: status == http.StatusOK || final, Told: text}
}

func (b *board) Say(_ *testing.T, m chattest.Message) chattest.Receipt { return b.receipt(b.event(m)) }

func (b *board) Again(_ *testing.T, m chattest.Message) chattest.Receipt {
	b.mu.Lock()
	e := b.said[m]
	b.mu.Unlock()
	return b.receipt(e)
}

func (b *board) Request(_ *testing.T, m chattest.Message) *http.Request {
	return b.request(b.event(m), time.Now())
}

func (b *board) Join(_ *testing.T, c int) chattest.Receipt {
	e := b.event(chattest.Message{Conversation: c})
	e.Kind = "join"
	first := b.receipt(e)
	e.ID += "b" // it says so twice
	second := b.receipt(e)
	return chattest.Receipt{Taken: first.Taken && second.Taken}
}

func (b *board) Follow(_ *testing.T, m chattest.Message) chattest.Receipt {
	e := b.event(m)
	e.Kind = "follow"
	return b.receipt(e)
}

func (b *board) Click(t *testing.T, label string, person int) chattest.Receipt {
	b.mu.Lock()
	on, command := -1, ""
	for i, post := range b.posts {
		for _, button := range post.Buttons {
			if button.Label == label {
				on, command = i, button.Command
			}
		}
	}
	b.mu.Unlock()
	if on < 0 {
		t.Fatalf("there is no button %s", label)
	}
	e := b.event(chattest.Message{Person: person, Text: command})
	e.Kind, e.On = "click", fmt.Sprint(on)
	return b.receipt(e)
}

func (b *board) Delete(t *testing.T, conversation int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, post := range slices.Backward(b.posts) {
		if places[conversation] == (pagerRef{post.Room, post.Thread}) {
			b.gone[i] = true
			return
		}
	}
	t.Fatalf("there is no message in conversation %d", conversation)
}

func (b *board) Expect(m chattest.Message) chat.Inbound {
	in := chat.Inbound{
		Sender:       chat.Sender{Account: chattest.Account, Workspace: "W1", User: fmt.Sprint("U", m.Person)},
		Conversation: chat.ConversationRef{Account: chattest.Account, Channel: places[m.Conversation].Room},
		Text:         m.Text, Addressed: true, Groups: []string{"W1/G1"},
	}
	if m.Way == "command" {
		in.Conversation.Quota = &chat.Quota{Messages: 2}
	}
	return in
}

var pagerMarkup = regexp.MustCompile(`<([@!])([^<>]*)>`)

func (b *board) Shown(*testing.T) []chattest.Shown {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []chattest.Shown
	for i, post := range b.posts {
		if b.gone[i] {
			continue
		}
		s := chattest.Shown{Conversation: slices.Index(places, pagerRef{post.Room, post.Thread}), Files: post.Files}
		for _, m := range pagerMarkup.FindAllStringSubmatch(post.Text, -1) {
			s.Notified = append(s.Notified, m[2])
		}
		s.Text = pagerRead.Replace(pagerMarkup.ReplaceAllString(post.Text, ""))
		for _, button := range post.Buttons {
			s.Text += "\n" + button.Label
		}
		all = append(all, s)
	}
	return all
}
