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
	chattest.Called[*pager]
	fault string
	srv   *httptest.Server

	mu     sync.Mutex
	n      int
	locked bool
	said   map[chattest.Message]pagerEvent
	posts  []pagerPost
	gone   map[int]bool // which of them were deleted
}

var places = []pagerRef{{"R1", ""}, {"R1", "T1"}, {"R2", ""}}

func startBoard(fault string) func(*testing.T, chat.Env) chattest.Far {
	return func(t *testing.T, env chat.Env) chattest.Far {
		b := &board{fault: fault, said: map[chattest.Message]pagerEvent{}, gone: map[int]bool{}}
		b.srv = httptest.NewServer(http.HandlerFunc(b.serve))
		t.Cleanup(b.srv.Close)
		b.Restart(t, env)
		return b
	}
}

func (b *board) Restart(t *testing.T, env chat.Env) chat.Adapter {
	p := newPager(env, b.srv.URL, b.fault)
	b.Put(t, p)
	return p
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
	if r.URL.Path == "/me" {
		_, _ = io.WriteString(w, "{}")
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

func (b *board) receipt(e pagerEvent) chattest.Receipt {
	status, body := b.Call(b.request(e, time.Now()), pagerWait)
	final := e.Kind == "command" || e.Kind == "click" // is never delivered again
	return chattest.Receipt{Taken: status == http.StatusOK || final, Told: string(body)}
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
