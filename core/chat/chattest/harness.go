// Package chattest is the conformance suite that every adapter passes. Each
// adapter's tests give it a harness: a fake far side that speaks as the real
// one does, not written with the adapter's own client.
package chattest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
)

// Account is the name of the account that the suite gives every adapter.
const Account = "work"

// patience is how long the suite waits for what must happen. Nothing is
// measured by it.
const patience = 20 * time.Second

// Harness makes far sides and says what is peculiar to them.
type Harness struct {
	// Start starts a far side and makes an adapter that works with it. Both
	// end with the test. The suite runs the adapter.
	Start func(t *testing.T, env chat.Env) Far
	// Conversations is how many conversations the far side has, threads
	// included; at least 1.
	Conversations int
	// Displays is how text from core is to be seen, where the channel cannot
	// show every character; nil means as it is.
	Displays func(text string) string
	// Arrives is how text that a person wrote reaches core; nil means as it is.
	Arrives func(text string) string
	// Bad are inputs that the adapter must refuse or ignore.
	Bad []Bad
	// Failures are ways in which the far side can fail to take a message.
	Failures []Failure
	// Secrets must be in no log and no error.
	Secrets []string
}

// Far is a far side and the adapter that works with it. Optional abilities are
// the interfaces Redelivers, Restarts and Clicks.
type Far interface {
	Adapter() chat.Adapter
	// Say has a person write a message, and returns when the adapter has
	// acknowledged it.
	Say(t *testing.T, m Message) Receipt
	// Expect says what must be handed in for the message, but for its ID, its
	// time, and the conversation's Key and Data, which the suite compares
	// among messages.
	Expect(m Message) chat.Inbound
	// Shown returns what people see, oldest first. A channel of one stream
	// shows one message for each conversation.
	Shown(t *testing.T) []Shown
}

// Redelivers is a Far whose far side delivers again what was not acknowledged.
type Redelivers interface {
	// Again delivers the message once more, as the far side does.
	Again(t *testing.T, m Message) Receipt
}

// Restarts is a Far that can make another adapter for the same far side, as
// after a restart of the process.
type Restarts interface {
	Restart(t *testing.T, env chat.Env) chat.Adapter
}

// Clicks is a Far where people can click on buttons. Every adapter with the
// capability has one.
type Clicks interface {
	Click(t *testing.T, label string) Receipt
}

// Message is something that a person writes.
type Message struct {
	Conversation int // from 0
	Text         string
}

// Receipt is what became of a message at the far side's end.
type Receipt struct {
	// Taken: the far side will not deliver it again.
	Taken bool
	// Told is what the asker was told, if anything was said at once.
	Told string
}

// Shown is a message as people see it.
type Shown struct {
	Conversation int
	Text         string
	// Notified are the people and groups that it notified.
	Notified []string
	Files    []chat.File
}

// Bad is an input that must not be handed in.
type Bad struct {
	Name string // forged, stale, oversized, malformed, empty, own message …
	// Do delivers it and returns how the adapter answered: an HTTP status, or
	// 0 where the channel has none.
	Do   func(t *testing.T, f Far) int
	Want int
}

// Failure is a way in which the far side fails to take a message.
type Failure struct {
	Name string
	// Set makes every later message fail in this way.
	Set        func(t *testing.T, f Far)
	Class      chat.Class
	RetryAfter time.Duration
}

// Run runs the suite. The test must not be parallel to others, for the suite
// looks for goroutines that are left behind.
func Run(t *testing.T, h Harness) {
	t.Helper()
	t.Run("Inbound", func(t *testing.T) { runInbound(t, h) })
	t.Run("Outbound", func(t *testing.T) { runOutbound(t, h) })
}

// setup is one adapter that runs, and its far side.
type setup struct {
	Far
	h     Harness
	inbox *inbox
	log   *buffer
	env   chat.Env
	stop  func()
}

// start starts a far side and runs its adapter until the test ends. That it
// ends in time and leaves nothing behind is checked every time.
func start(t *testing.T, h Harness) *setup {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	s := &setup{h: h, inbox: newInbox(), log: &buffer{}}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
	s.env = chat.Env{
		Account: Account, Inbox: s.inbox, Clock: time.Now, HTTP: client,
		Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		KV:     newKV(), Lease: leaser{},
	}
	t.Cleanup(client.CloseIdleConnections)
	t.Cleanup(func() { s.noSecret(t, "a log", s.log.String()) })
	s.Far = h.Start(t, s.env)
	s.stop = s.run(t, s.Adapter())
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
		if strings.Contains(text, secret) {
			t.Errorf("a secret is in %s", where)
		}
	}
}

// inbox is a chat.Inbox that keeps what it is given, once per ID.
type inbox struct {
	mu    sync.Mutex
	fail  error
	seen  map[string]bool
	calls int
	got   chan chat.Inbound
}

func newInbox() *inbox {
	return &inbox{seen: make(map[string]bool), got: make(chan chat.Inbound, 10_000)}
}

// Accept implements chat.Inbox.
func (b *inbox) Accept(_ context.Context, m chat.Inbound) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.fail != nil {
		return b.fail
	}
	if !b.seen[m.ID] {
		b.seen[m.ID] = true
		b.got <- m
	}
	return nil
}

func (b *inbox) failWith(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

func (b *inbox) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

// take returns the next message that was handed in.
func (b *inbox) take(t *testing.T) chat.Inbound {
	t.Helper()
	select {
	case m := <-b.got:
		return m
	case <-time.After(patience):
		t.Fatal("no message was handed in")
	}
	return chat.Inbound{}
}

// none checks that no further message was handed in.
func (b *inbox) none(t *testing.T) {
	t.Helper()
	select {
	case m := <-b.got:
		t.Errorf("a message was handed in: %+v", m)
	default:
	}
}

// errStore is why an inbox does not take a message.
var errStore = errors.New("the disk is full")

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
	return stored
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// kv is a chat.KV in memory.
type kv struct {
	mu   sync.Mutex
	vals map[string]kvEntry
}

type kvEntry struct {
	value []byte
	until time.Time
}

func newKV() *kv { return &kv{vals: make(map[string]kvEntry)} }

func (k *kv) Get(_ context.Context, key string) ([]byte, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.vals[key]
	if !ok || !e.until.IsZero() && time.Now().After(e.until) {
		return nil, false, nil
	}
	return bytes.Clone(e.value), true, nil
}

func (k *kv) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := kvEntry{value: bytes.Clone(value)}
	if ttl > 0 {
		e.until = time.Now().Add(ttl)
	}
	k.vals[key] = e
	return nil
}

func (k *kv) Delete(_ context.Context, key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.vals, key)
	return nil
}

// leaser is a chat.Leaser of one node, which holds everything.
type leaser struct{}

func (leaser) Acquire(context.Context, string, time.Duration) (int64, bool, error) {
	return 1, true, nil
}

func (leaser) Release(context.Context, string) error { return nil }
