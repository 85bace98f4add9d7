package chattest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// inbox is a chat.Inbox that keeps what it is given, once per ID.
type inbox struct {
	mu    sync.Mutex
	fail  error
	hang  chan struct{} // while it is open, nothing is stored
	panic bool
	seen  map[string]bool
	calls int
	// deadlines are how long each call had, and 0 for ever.
	deadlines []time.Duration
	got       chan chat.Inbound
}

func newInbox() *inbox {
	return &inbox{seen: make(map[string]bool), got: make(chan chat.Inbound, 10_000)}
}

// Accept implements chat.Inbox.
func (b *inbox) Accept(ctx context.Context, m chat.Inbound) error {
	if err := b.called(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.seen[m.ID] {
		b.seen[m.ID] = true
		b.got <- m
	}
	return nil
}

// called counts a call and fails as it was told to.
func (b *inbox) called(ctx context.Context) error {
	b.mu.Lock()
	b.calls++
	var left time.Duration
	if at, ok := ctx.Deadline(); ok {
		left = time.Until(at)
	}
	b.deadlines = append(b.deadlines, left)
	fail, hang, panics := b.fail, b.hang, b.panic
	b.mu.Unlock()
	if panics {
		panic(oops)
	}
	if hang == nil {
		return fail
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-hang:
		return errStore
	}
}

func (b *inbox) failWith(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

// panics makes calls panic, or no more.
func (b *inbox) panics(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.panic = yes
}

// hangs makes calls wait for their context to end, until release is called.
func (b *inbox) hangs() (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	hang := make(chan struct{})
	b.hang = hang
	var once sync.Once
	return func() {
		once.Do(func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.hang = nil
			close(hang)
		})
	}
}

func (b *inbox) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

// lastDeadline is how long the newest call had; 0 is for ever.
func (b *inbox) lastDeadline() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.deadlines) == 0 {
		return 0
	}
	return b.deadlines[len(b.deadlines)-1]
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

// oops is what an inbox panics with.
const oops = "oops, a bug"

// errStore is why an inbox does not take a message.
var errStore = errors.New("the disk is full")

// clock is the time of day, and can be put forward.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
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
	now  func() time.Time
	mu   sync.Mutex
	vals map[string]kvEntry
}

type kvEntry struct {
	value []byte
	until time.Time
}

func newKV(now func() time.Time) *kv { return &kv{now: now, vals: make(map[string]kvEntry)} }

func (k *kv) Get(ctx context.Context, key string) ([]byte, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.vals[key]
	if !ok || !e.until.IsZero() && k.now().After(e.until) {
		return nil, false, ctx.Err()
	}
	return bytes.Clone(e.value), true, ctx.Err()
}

func (k *kv) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := kvEntry{value: bytes.Clone(value)}
	if ttl > 0 {
		e.until = k.now().Add(ttl)
	}
	k.vals[key] = e
	return ctx.Err()
}

func (k *kv) Delete(ctx context.Context, key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.vals, key)
	return ctx.Err()
}

// leaser is a chat.Leaser of one node, which holds everything.
type leaser struct{}

func (leaser) Acquire(context.Context, string, time.Duration) (int64, bool, error) {
	return 1, true, nil
}

func (leaser) Release(context.Context, string) error { return nil }

// viewer is a chat.Viewer for whom everybody sees the same.
type viewer struct{}

func (viewer) Overview(_ context.Context, who chat.Sender, _ []string) (chat.Overview, error) {
	return chat.Overview{
		Agents: []chat.AgentState{{Name: "web-1", Online: true, SeenAt: time.Now()}},
		Jobs:   []chat.Card{{Mark: chat.MarkRunning, Code: "k7f3q2", Agent: "web-1", Message: "deploy v1", Asker: who}},
	}, nil
}
