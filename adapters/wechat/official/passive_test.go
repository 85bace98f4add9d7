package official

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// inbox hands what comes in to a function.
type inbox func(m chat.Inbound) error

func (f inbox) Accept(_ context.Context, m chat.Inbound) error { return f(m) }

// memory is a chat.KV and a chat.Leaser of one node.
type memory struct{ sync.Map }

func (m *memory) Get(_ context.Context, key string) ([]byte, bool, error) {
	v, ok := m.Load(key)
	b, _ := v.([]byte)
	return b, ok, nil
}

func (m *memory) Set(_ context.Context, key string, v []byte, _ time.Duration) error {
	m.Store(key, v)
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.Map.Delete(key)
	return nil
}

func (*memory) Acquire(context.Context, string, time.Duration) (int64, bool, error) {
	return 1, true, nil
}
func (*memory) Release(context.Context, string) error { return nil }

// running starts a far side and an account that waits for answers as long as a
// test needs.
func running(t *testing.T, take inbox, change ...func(*weChat)) *weChat {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	kept := &memory{}
	f := newWeChat(t, time.Now)
	for _, c := range change {
		c(f)
	}
	f.Restart(t, chat.Env{
		Account: chattest.Account, Inbox: take, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
		HTTP: &http.Client{Transport: transport}, KV: kept, Lease: kept,
	})
	f.Now().patience = 4 * time.Second
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Now().Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	<-f.loggedIn
	return f
}

// answering is an inbox whose account answers each message at once.
func answering(t *testing.T, f **weChat, texts ...string) inbox {
	var once sync.Map
	var sending sync.WaitGroup
	t.Cleanup(sending.Wait)
	return func(m chat.Inbound) error {
		if _, before := once.LoadOrStore(m.ID, true); before {
			return nil
		}
		sending.Go(func() {
			for _, text := range texts {
				if _, err := (*f).Now().Send(context.WithoutCancel(t.Context()), chat.Outbound{ID: m.ID + text, To: m.Conversation, Text: text}); err != nil {
					t.Errorf("Send: %v", err)
				}
			}
		})
		return nil
	}
}

func TestTheAnswerIsInTheCall(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		var f *weChat
		f = running(t, answering(t, &f, "first ]]> 世界"), func(f *weChat) { f.plain = plain })
		r := f.Say(t, hello)
		if !r.Taken || r.Told != "first ]]> 世界" || len(f.sent()) != 1 {
			t.Errorf("it was answered with %+v; in all %+v", r, f.sent())
		}
	}
}

func TestFurtherAnswersFollow(t *testing.T) {
	t.Parallel()
	var f *weChat
	f = running(t, answering(t, &f, "first", "second"))
	if r := f.Say(t, hello); r.Told != "first" {
		t.Errorf("it was answered with %+v", r)
	}
	eventually(t, "the second answer", func() bool { return slices.Contains(f.sent(), post{openID(0), "second"}) })
	if len(f.sent()) != 2 {
		t.Errorf("in all %+v", f.sent())
	}
}

// eventually waits for what comes soon.
func eventually(t *testing.T, what string, come func() bool) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !come() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// A message that comes again, since its answer did not arrive, gets it again,
// and is no second message.
func TestAMessageThatComesAgainGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	var f *weChat
	f = running(t, answering(t, &f, "first"))
	if r := f.Say(t, hello); r.Told != "first" {
		t.Errorf("it was answered with %+v", r)
	}
	for range 2 {
		if r := f.Again(t, hello); r.Told != "first" {
			t.Errorf("when it came again, it was answered with %+v", r)
		}
	}
}

// The answer to a message that came again goes to the later call.
func TestALaterCallTakesTheAnswer(t *testing.T) {
	t.Parallel()
	var ref chat.ConversationRef
	came := make(chan struct{}, 2)
	f := running(t, func(m chat.Inbound) error {
		ref = m.Conversation
		came <- struct{}{}
		return nil
	})
	m := f.written(hello)
	told := make(chan chattest.Receipt, 2)
	for range 2 {
		go func() { told <- f.receipt(t, m) }()
		<-came
	}
	if _, err := f.Now().Send(t.Context(), chat.Outbound{ID: "a", To: ref, Text: "hello there"}); err != nil {
		t.Fatal(err)
	}
	texts := []string{(<-told).Told, (<-told).Told}
	if !strings.Contains(strings.Join(texts, " "), "hello there") || len(f.sent()) == 0 {
		t.Errorf("the calls were answered with %q", texts)
	}
}

// Whoever waits is let go when the account ends.
func TestCallsEndWithTheAccount(t *testing.T) {
	t.Parallel()
	c := newCalls(time.Now)
	c.open()
	n := c.enter("a")
	c.close()
	if _, _, ok := n.wait(t.Context(), time.Hour); ok {
		t.Error("it got an answer")
	}
	n.leave()
	if c.hand(t.Context(), "a", "text") {
		t.Error("an answer was taken that nobody waits for")
	}
	if later := c.enter("b"); later.running != nil {
		t.Error("it waits though the account has ended")
	} else {
		later.leave()
	}
}

// What could not be written counts as not sent.
func TestAnAnswerThatWasNotWritten(t *testing.T) {
	t.Parallel()
	c := newCalls(time.Now)
	c.open()
	n := c.enter("a")
	result := make(chan bool)
	go func() { result <- c.hand(t.Context(), "a", "text") }()
	text, written, ok := n.wait(t.Context(), time.Hour)
	if !ok || text != "text" {
		t.Fatalf("it got %q", text)
	}
	written(false)
	if <-result {
		t.Error("it counts as sent")
	}
	n.leave()
	again := c.enter("a")
	if len(again.again) != 0 {
		t.Error("it is remembered")
	}
	again.leave()
	c.close()
}

func TestAnswersAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := newCalls(func() time.Time { return now })
	c.open()
	for _, id := range []string{"a", "b"} {
		c.mu.Lock()
		c.remember(id, "text")
		c.mu.Unlock()
		now = now.Add(15 * time.Second)
	}
	c.enter("c").leave()
	if _, ok := c.told["a"]; ok || len(c.told) != 1 || len(c.old) != 1 {
		t.Errorf("it remembers %v", c.told)
	}
	c.close()
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	f := running(t, func(chat.Inbound) error { return errors.New("nothing is to be stored") })
	f.Now().cfg.Greeting = "Welcome <a href=\"https://example.com\">here</a>"
	if r := f.Join(t, 0); !r.Taken || r.Told != "Welcome <\u200ba href=\"https://example.com\">here<\u200b/a>" {
		t.Errorf("who follows is told %+v", r)
	}
}

func TestOneNewTokenIsEnough(t *testing.T) {
	t.Parallel()
	var f *weChat
	var ref chat.ConversationRef
	f = running(t, func(m chat.Inbound) error { ref = m.Conversation; return errors.New("away") })
	f.Say(t, hello)
	f.expire()
	if _, err := f.Now().Send(t.Context(), chat.Outbound{ID: "a", To: ref, Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	if n := f.given(); n != 3 { // the test spent one
		t.Errorf("%d tokens were given", n)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	var ref chat.ConversationRef
	f := running(t, func(m chat.Inbound) error { ref = m.Conversation; return errors.New("away") })
	f.Say(t, hello)
	for code, want := range map[int]chat.Class{
		45015: chat.Shut, 45047: chat.Shut, 40003: chat.Gone, 43004: chat.Gone, 48001: chat.Auth, -1: chat.Temporary, 45009: chat.RateLimited,
	} {
		f.fails(code)
		_, err := f.Now().Send(t.Context(), chat.Outbound{ID: "a", To: ref, Text: "hello"})
		if se := chat.Classify(err); err == nil || se.Class != want {
			t.Errorf("%d: %v, want %s", code, err, want)
		}
	}
	for _, broken := range []chat.ConversationRef{{Key: "a"}, {Key: "a", Data: []byte("{}")}, {Key: "a", Data: []byte("[")}} {
		if _, err := f.Now().Send(t.Context(), chat.Outbound{ID: "a", To: broken, Text: "x"}); chat.Classify(err).Class != chat.Permanent {
			t.Errorf("%s: %v", broken.Data, err)
		}
	}
}
