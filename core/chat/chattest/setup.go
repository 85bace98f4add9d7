package chattest

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
)

// patience is how long the suite waits for what must happen. Nothing is
// measured by it.
var patience = 20 * time.Second

// setup is one adapter that runs, and its far side.
type setup struct {
	Far
	h     Harness
	inbox *inbox
	clock *clock
	log   *buffer
	net   *network
	env   chat.Env
	// panicked counts the panics that the adapter guarded.
	panicked atomic.Int64
	reports  *reports
	stop     func()
}

// start starts a far side and runs its adapter until the test ends. It returns
// once the adapter works. That it
// ends in time and leaves nothing behind is checked every time.
func start(t *testing.T, h Harness) *setup {
	t.Helper()
	s := prepare(t, h)
	s.Far = h.Start(t, s.env)
	s.stop = s.run(t, s.Adapter())
	if h.CallsNobody == "" {
		s.reports.works(t)
	}
	return s
}

// prepare makes the host of an adapter.
func prepare(t *testing.T, h Harness) *setup {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	s := &setup{h: h, inbox: newInbox(), clock: &clock{}, log: &buffer{}, reports: newReports()}
	s.net = newNetwork(t)
	s.env = chat.Env{
		Account: Account, Inbox: s.inbox, Clock: s.clock.now,
		HTTP:   &http.Client{Timeout: 2 * patience, Transport: s.net},
		Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		KV:     newKV(s.clock.now), Lease: leaser{}, Viewer: viewer{},
		Panicked: func() { s.panicked.Add(1) },
		Reported: s.reports.add,
		URL:      "https://skadi.example.com/adapters/" + Account + "/",
	}
	t.Cleanup(s.net.CloseIdleConnections)
	t.Cleanup(func() { s.noSecret(t, "the log", s.log.String()) })
	t.Cleanup(func() { s.noSecret(t, "what was reported", s.reports.text()) })
	return s
}

// run runs the adapter and returns a function that ends it.
func (s *setup) run(t *testing.T, a chat.Adapter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Run returned %v after its context ended, want nil", err)
				}
			case <-time.After(patience):
				t.Error("Run did not return after its context ended")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func (s *setup) noSecret(t *testing.T, where, text string) {
	t.Helper()
	for _, secret := range s.h.Secrets {
		if secret != "" && strings.Contains(text, secret) {
			t.Errorf("a secret is in %s", where)
		}
	}
}

// within calls f and fails the test if it does not return.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not return", what)
	}
}

// taken checks that a message was acknowledged.
func (s *setup) taken(t *testing.T, r Receipt) {
	t.Helper()
	if !r.Taken {
		t.Errorf("the message was not acknowledged (the asker was told %q)", r.Told)
	}
	s.noSecret(t, "what the asker was told", r.Told)
}

// said has a message written and returns it as it was handed in.
func (s *setup) said(t *testing.T, m Message) chat.Inbound {
	t.Helper()
	s.taken(t, s.Say(t, m))
	return s.inbox.take(t)
}

// conversation returns the reference of a conversation as it is after it was
// stored, by having somebody write there.
func (s *setup) conversation(t *testing.T, c int) chat.ConversationRef {
	t.Helper()
	return again(t, s.said(t, Message{Conversation: c, Text: "local hello"}).Conversation)
}

// send sends what must get through.
func (s *setup) send(t *testing.T, m chat.Outbound) chat.MessageRef {
	t.Helper()
	ref, err := s.Adapter().Send(t.Context(), m)
	if err != nil {
		s.noSecret(t, "an error", err.Error())
		t.Fatalf("Send: %v", err)
	}
	return again(t, ref)
}

// sameAs compares what the harness can know of a message.
func (s *setup) sameAs(t *testing.T, got, want chat.Inbound) {
	t.Helper()
	if got.ID == "" {
		t.Error("it has no ID")
	}
	if got.Sender.Account != Account || got.Conversation.Account != Account {
		t.Errorf("it came from the account %q, in a conversation of %q, want %q",
			got.Sender.Account, got.Conversation.Account, Account)
	}
	s.named(t, got)
	if got.Sender.Principal() != want.Sender.Principal() {
		t.Errorf("it came from %s, want %s", got.Sender.Principal(), want.Sender.Principal())
	}
	if got.Conversation.Key == "" {
		t.Error("its conversation has no key")
	}
	if got.Conversation.Channel != want.Conversation.Channel {
		t.Errorf("it came in the channel %q, want %q", got.Conversation.Channel, want.Conversation.Channel)
	}
	if got.Text != want.Text {
		t.Errorf("its text is %s, want %s", excerpt(got.Text), excerpt(want.Text))
	}
	if got.Direct != want.Direct || got.Addressed != want.Addressed || got.Followed != want.Followed || got.Joined != want.Joined || got.Refused != want.Refused {
		t.Errorf("direct %t, addressed %t, followed %t, joined %t; want %t, %t, %t, %t",
			got.Direct, got.Addressed, got.Followed, got.Joined, want.Direct, want.Addressed, want.Followed, want.Joined)
	}
	groups, wanted := slices.Sorted(slices.Values(got.Groups)), slices.Sorted(slices.Values(want.Groups))
	if !slices.Equal(groups, wanted) {
		t.Errorf("its sender is in the groups %q, want %q", groups, wanted)
	}
	if got, want := quota(got), quota(want); got != want {
		t.Errorf("%d messages may answer it, want %d (0 is any number)", got, want)
	}
	if age := s.clock.now().Sub(got.At).Abs(); age > time.Hour {
		t.Errorf("it was sent at %s, which is not about now", got.At)
	}
	again(t, got.Conversation)
}

func quota(m chat.Inbound) int {
	if m.Conversation.Quota == nil {
		return 0
	}
	return m.Conversation.Quota.Messages
}

// again returns v as it is after it was stored.
func again[T any](t *testing.T, v T) (stored T) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("a reference cannot be stored: %v", err)
	}
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatalf("a stored reference cannot be read: %v", err)
	}
	if second, err := json.Marshal(stored); err != nil || !reflect.DeepEqual(data, second) {
		t.Errorf("a stored reference came back as %s, was %s (%v)", second, data, err)
	}
	return stored
}
