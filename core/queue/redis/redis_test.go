package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/queue/queuetest"
	"github.com/letserverrun/skadi/core/queue/redis"
	"github.com/letserverrun/skadi/internal/throwaway"
)

var _ job.Waker = (*redis.Waker)(nil)

func TestMain(m *testing.M) {
	// go-redis looks for a lost server once a second, and so ends a second after
	// its client.
	dial := goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
	goleak.VerifyTestMain(throwaway.Wrap(m), dial)
}

// patience is how long a test waits for what must happen. Nothing is measured
// by it.
const patience = 30 * time.Second

const (
	tries      = 4
	partitions = 4
	tail       = 500
)

// quick is a Config whose waits suit a test.
func quick(addrs ...string) redis.Config {
	return redis.Config{
		Addrs: addrs, Node: "node-1", Partitions: partitions, Tries: tries, Tail: tail,
		MinBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond,
		Poll: 50 * time.Millisecond, ClaimIdle: 500 * time.Millisecond, TrimEvery: 50 * time.Millisecond,
	}
}

func open(t testing.TB, cfg redis.Config) *redis.Queue {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = testLogger(t)
	}
	q, err := redis.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return q
}

// testLogger logs to the test as long as it runs.
func testLogger(t testing.TB) *slog.Logger {
	w := &testWriter{t: t}
	t.Cleanup(w.end)
	return slog.New(slog.NewTextHandler(w, nil))
}

type testWriter struct {
	mu sync.Mutex
	t  testing.TB
}

func (w *testWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Logf("%s", p)
	}
	return len(p), nil
}

func (w *testWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t = nil
}

func TestSingle(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	suite(t, quick(r.Addr), func(t *testing.T) { r.Do(t, "flushall") })
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	s := throwaway.Sentinel(t)
	cfg := quick(s.Addrs()...)
	cfg.Master = s.Master
	suite(t, cfg, func(t *testing.T) { s.Servers[0].Do(t, "flushall") })
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := throwaway.Cluster(t)
	cfg := quick(c.Addrs()...)
	cfg.Cluster = true
	suite(t, cfg, func(t *testing.T) {
		for _, m := range c.Masters {
			m.Do(t, "flushall")
		}
	})
}

// suite runs what every queue passes, on a Redis that is emptied each time.
func suite(t *testing.T, cfg redis.Config, empty func(t *testing.T)) {
	t.Helper()
	queuetest.Run(t, queuetest.Harness{
		Open: func(t *testing.T) queuetest.Queue {
			empty(t)
			cfg := cfg
			cfg.Logger = testLogger(t)
			q, err := redis.Open(t.Context(), cfg)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			return q
		},
		Tries: tries, Partitions: partitions, Tail: tail,
	})
}

// reader is a Handler that passes on what it gets.
type reader struct {
	got    chan queue.Message
	lost   chan struct{}
	handle func(ctx context.Context, batch []queue.Message) error
}

func newReader() *reader {
	return &reader{got: make(chan queue.Message, 200_000), lost: make(chan struct{}, 1000)}
}

func (r *reader) Handle(ctx context.Context, batch []queue.Message) error {
	if r.handle != nil {
		if err := r.handle(ctx, batch); err != nil {
			return err
		}
	}
	for _, m := range batch {
		r.got <- m
	}
	return nil
}

func (r *reader) Lost(context.Context) {
	select {
	case r.lost <- struct{}{}:
	default:
	}
}

// consume runs a consumer until the test or stop ends it. It returns once the
// group exists.
func consume(t testing.TB, q *redis.Queue, group, name string, r *reader, partitions ...int) (stop func()) {
	t.Helper()
	stop = start(t, q, group, name, r, partitions...)
	wait(t, r.lost, "Lost at the start")
	return stop
}

func start(t testing.TB, q *redis.Queue, group, name string, r *reader, partitions ...int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Consume(ctx, group, name, partitions, r) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := wait(t, done, "the end of Consume"); err != nil {
			t.Errorf("Consume returned %v, want nil", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func wait[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

// until tries something until it works.
func until(t testing.TB, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
}

func message(id string, partition int) queue.Message {
	return queue.Message{
		ID: id, Space: "default", Kind: "EventJobStatus", Partition: partition, Data: []byte(`{"id":"` + id + `"}`),
	}
}

func publish(t testing.TB, q *redis.Queue, messages ...queue.Message) {
	t.Helper()
	if err := q.Publish(t.Context(), messages); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

// expect waits for the messages in their order.
func expect(t testing.TB, r *reader, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if got := wait(t, r.got, id); got.ID != id {
			t.Fatalf("got %s, want %s", got.ID, id)
		}
	}
}

func numbered(name string, n, partition int) (all []queue.Message) {
	for i := range n {
		all = append(all, message(fmt.Sprintf("%s.%d", name, i), partition))
	}
	return all
}
