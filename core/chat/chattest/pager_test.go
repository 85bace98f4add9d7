package chattest_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// pager is a small adapter that does everything right, unless it has a fault.
// Its channel is made up: calls in both directions carry JSON, those to the
// adapter with an HMAC, those to the far side with a token.
type pager struct {
	env     chat.Env
	api     string
	fault   string // one of the mutants' names, or empty
	session string
	client  http.Client

	mu        sync.Mutex
	seen      map[string]bool
	mentioned map[string]bool
	runs      int
	loggedIn  bool
}

const (
	pagerSecret = "signing-secret-of-the-pager"
	pagerToken  = "token-of-the-pager"
	pagerLimit  = 64 << 10
	// pagerLongest is what the channel takes of a message, markup included.
	pagerLongest = 8000
)

// pagerEvent is what the channel sends.
type pagerEvent struct {
	ID     string   `json:"id"`
	Kind   string   `json:"kind"` // message, command, click, join, follow
	Room   string   `json:"room"`
	Thread string   `json:"thread"`
	Person string   `json:"person"`
	Name   string   `json:"name"`
	Groups []string `json:"groups"`
	Bot    string   `json:"bot"`
	Edited bool     `json:"edited"`
	Text   string   `json:"text"`
	On     string   `json:"on"` // the message that was clicked
	At     int64    `json:"at"`
}

// pagerPost is what the channel takes.
type pagerPost struct {
	Room    string        `json:"room"`
	Thread  string        `json:"thread"`
	Text    string        `json:"text"`
	Buttons []chat.Button `json:"buttons,omitempty"`
	Files   []chat.File   `json:"files,omitempty"`
}

// pagerRef is the adapter's part of a conversation's reference.
type pagerRef struct {
	Room   string `json:"room"`
	Thread string `json:"thread"`
}

func newPager(env chat.Env, api, fault string) *pager {
	p := &pager{env: env, api: api, fault: fault, session: rand.Text(), seen: map[string]bool{}, mentioned: map[string]bool{}}
	p.client = *env.HTTP
	if p.is("own client") {
		p.client = http.Client{}
	}
	if !p.is("follows redirects") {
		p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return p
}

func (p *pager) is(fault string) bool { return p.fault == fault }

func (p *pager) CheckSender(name string) error {
	kinds := map[string]bool{"/U": p.is("knows no person"), "/G": p.is("knows no group"), "/*": p.is("knows no workspace")}
	for kind, unknown := range kinds {
		if begins, _, ok := strings.Cut(name, kind); ok && begins == "W1" && !unknown {
			return nil
		}
	}
	return fmt.Errorf("%q is nobody", name)
}

func (p *pager) CheckConversation(name string) error {
	if p.is("knows no conversation") || name == "" {
		return fmt.Errorf("%q is no room", name)
	}
	return nil
}

func (p *pager) CheckChannel(name string) error {
	if !p.is("lets any channel pass") && (name == "" || strings.ContainsAny(name, " \n\x00")) {
		return fmt.Errorf("%q is no room", name)
	}
	return nil
}

func (p *pager) Open(_ context.Context, name string) (chat.ConversationRef, error) {
	if err := p.CheckChannel(name); err != nil && !p.is("opens what is no channel") {
		return chat.ConversationRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
	}
	return chat.ConversationRef{Account: p.env.Account, Channel: name, Key: name}, nil
}

func (p *pager) Capabilities() chat.Capabilities {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := chat.Capabilities{Edit: true, Buttons: true, Files: true, MaxBytes: 4000, LiveInterval: time.Second}
	if p.is("changing capabilities") && p.runs > 0 && p.loggedIn {
		c.MaxBytes++
	}
	return c
}

func (p *pager) Run(ctx context.Context) error {
	p.mu.Lock()
	p.runs++
	again := p.runs > 1
	p.mu.Unlock()
	if p.is("leaks a goroutine") {
		go func() { <-make(chan int) }()
	}
	if p.is("does not run again") && again {
		return errors.New("it ran before")
	}
	if p.is("logs a secret") {
		p.env.Logger.Debug("logging in", "token", pagerToken)
	}
	if err := p.logIn(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	if p.is("returns the context's error") {
		return ctx.Err()
	}
	return nil
}

// logIn asks whether the token works, until there is an answer or ctx ends.
func (p *pager) logIn(ctx context.Context) error {
	report := p.env.Report
	if p.is("reports nothing") {
		report = func(error) {}
	}
	report(chat.ErrConnecting)
	if p.is("works before it does") {
		report(nil)
	}
	for {
		_, err := p.call(ctx, "/me", pagerPost{})
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if !p.is("never reports that it works") {
				report(nil)
			}
			return nil
		case chat.Classify(err).Class == chat.Auth:
			return err
		}
		if !p.is("hides its trouble") {
			report(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *pager) Handler() http.Handler {
	mux := http.NewServeMux()
	pattern := "POST /events"
	if p.is("takes any method") {
		pattern = "/events"
	}
	mux.HandleFunc(pattern, p.serve)
	return mux
}

func (p *pager) serve(w http.ResponseWriter, r *http.Request) {
	body := r.Body
	if !p.is("no limit") {
		body = http.MaxBytesReader(w, r.Body, pagerLimit<<4)
	}
	raw, err := io.ReadAll(body)
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !p.genuine(r.Header, raw) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var e pagerEvent
	if err := json.Unmarshal(raw, &e); err != nil || e.ID == "" {
		if p.is("panics") {
			panic(err)
		}
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if e.Bot == "self" && !p.is("hears itself") || e.Bot == "other" && !p.is("hears programs") || e.Edited && !p.is("runs what is edited") {
		return
	}
	m, ok := p.inbound(r.Context(), e)
	if !ok {
		return
	}
	p.accept(w, r, e, m)
}

func (p *pager) accept(w http.ResponseWriter, r *http.Request, e pagerEvent, m chat.Inbound) {
	ctx, cancel := context.WithTimeout(r.Context(), pagerWait/2)
	defer cancel()
	if p.is("no deadline") {
		ctx = r.Context()
	}
	if p.is("remembers what it did not store") {
		p.mu.Lock()
		seen := p.seen[m.ID]
		p.seen[m.ID] = true
		p.mu.Unlock()
		if seen {
			return
		}
	}
	err := p.handIn(ctx, m)
	switch {
	case err == nil || p.is("acknowledges anything"):
	case e.Kind == "command" || e.Kind == "click":
		if !p.is("tells no asker") {
			_, _ = io.WriteString(w, "Not accepted, please try again.")
		}
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// handIn hands a message in. A panic goes on to the host, but for two faults.
func (p *pager) handIn(ctx context.Context, m chat.Inbound) (err error) {
	defer func() {
		if p.is("takes what panicked") || p.is("hides panics") {
			if r := recover(); r != nil && p.is("hides panics") {
				err = errors.New("something went wrong")
			}
		}
	}()
	return p.env.Inbox.Accept(ctx, m)
}

func pagerSign(at string, raw []byte) string {
	mac := hmac.New(sha256.New, []byte(pagerSecret))
	_, _ = io.WriteString(mac, at+":")
	_, _ = mac.Write(raw)
	return hex.EncodeToString(mac.Sum(nil))
}

func (p *pager) genuine(h http.Header, raw []byte) bool {
	at := h.Get("X-At")
	if !p.is("believes anybody") && !hmac.Equal([]byte(pagerSign(at, raw)), []byte(h.Get("X-Signature"))) {
		return false
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	return p.is("believes old calls") || p.is("believes anybody") || err == nil && p.env.Clock().Sub(time.Unix(seconds, 0)).Abs() < 5*time.Minute
}

var pagerRead = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// inbound says what an event is to core; false if it is nothing.
func (p *pager) inbound(ctx context.Context, e pagerEvent) (chat.Inbound, bool) {
	data, err := json.Marshal(pagerRef{e.Room, e.Thread})
	if err != nil {
		return chat.Inbound{}, false
	}
	m := chat.Inbound{
		ID:           e.ID,
		Sender:       chat.Sender{Account: p.env.Account, Workspace: "W1", User: e.Person, Name: e.Name},
		Conversation: chat.ConversationRef{Account: p.env.Account, Channel: e.Room, Key: e.Room + "/" + e.Thread, Data: data},
		Text:         pagerRead.Replace(e.Text), Addressed: true, Groups: e.Groups, At: time.Unix(e.At, 0),
	}
	switch e.Kind {
	case "click":
		m.ID = "click/" + e.On + "/" + e.Text + "/" + e.Person
		if p.is("click of everybody") {
			m.ID = "click/" + e.On + "/" + e.Text
		}
		if p.is("click by click") {
			m.ID = e.ID
		}
	case "join":
		m.ID, m.Text, m.Joined = "join/"+e.Room, "", true
		if p.is("joins twice") {
			m.ID = e.ID
		}
	case "command":
		m.Conversation.Quota = &chat.Quota{Messages: 2, Until: p.env.Clock().Add(30 * time.Minute)}
	case "follow":
		m.Addressed, m.Followed = false, true
		if !p.takesPart(ctx, m.Conversation.Key) {
			return m, false
		}
	}
	if err := p.takePart(ctx, m.Conversation.Key); err != nil {
		return m, false
	}
	p.spoil(e, &m)
	return m, true
}

// spoil gives a message the fault.
func (p *pager) spoil(e pagerEvent, m *chat.Inbound) {
	switch p.fault {
	case "names for IDs":
		m.Sender.User = m.Sender.Name
	case "one person":
		m.Sender.User = "U0"
	case "random IDs":
		m.ID = rand.Text()
	case "IDs of a process":
		m.ID = p.session + e.ID
	case "one ID":
		m.ID = "1"
	case "threads are one":
		m.Conversation.Key = e.Room
	case "no groups":
		m.Groups = nil
	case "trims":
		m.Text = strings.Join(strings.Fields(m.Text), " ")
	case "does not unescape":
		m.Text = e.Text
	case "wrong channel":
		m.Conversation.Channel = e.Thread
	case "no time":
		m.At = time.Time{}
	}
}

func (p *pager) takePart(ctx context.Context, key string) error {
	if p.is("forgets where it takes part") {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mentioned[key] = true
		return nil
	}
	return p.env.KV.Set(ctx, key, []byte("1"), 0)
}

func (p *pager) takesPart(ctx context.Context, key string) bool {
	switch p.fault {
	case "takes part everywhere":
		return true
	case "forgets where it takes part":
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.mentioned[key]
	}
	_, ok, err := p.env.KV.Get(ctx, key)
	return ok && err == nil
}
