package job_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

// clock is the wall clock and the monotonic one of a test.
type clock struct {
	mu   sync.Mutex
	wall time.Time
	mono time.Duration
}

func newClock() *clock { return &clock{wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *clock) monotonic() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mono
}

// pass lets time go by for both clocks.
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.mono = c.wall.Add(d), c.mono+d
}

// set moves the wall clock alone, as an administrator or NTP would.
func (c *clock) set(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// bench is a service on a real store, with its clock in the test's hand.
type bench struct {
	*job.Service
	t      *testing.T
	ctx    context.Context
	clock  *clock
	store  *outageStore
	caller job.Caller
	// watched is signaled when somebody waits.
	watched chan struct{}
}

// watchedWaker tells when somebody begins to wait.
type watchedWaker struct {
	job.Waker
	watched chan struct{}
}

func (w *watchedWaker) Watch(keys ...string) (c <-chan struct{}, stop func()) {
	c, stop = w.Waker.Watch(keys...)
	select {
	case w.watched <- struct{}{}:
	default:
	}
	return c, stop
}

// outageStore is the real store, and a database that can be away.
type outageStore struct {
	job.Store
	mu   sync.Mutex
	away bool
}

func (s *outageStore) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *outageStore) Update(ctx context.Context, sel job.Selection, decide job.Decide) ([]job.Updated, error) {
	s.mu.Lock()
	away := s.away
	s.mu.Unlock()
	if away {
		return nil, job.ErrUnavailable
	}
	return s.Store.Update(ctx, sel, decide)
}

// setup returns a service whose hold after the start is over, with an agent
// web-1 that has just checked in.
func setup(t *testing.T) *bench {
	t.Helper()
	b := fresh(t)
	b.steady(4 * time.Minute)
	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	return b
}

// fresh returns a service that has just started, with an agent web-1 that
// never checked in.
func fresh(t *testing.T) *bench {
	t.Helper()
	ctx, clock := t.Context(), newClock()
	db, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "skadi.db"), Clock: clock.now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s := &outageStore{Store: db}
	w := &watchedWaker{Waker: queue.NewWaker(), watched: make(chan struct{}, 1)}
	b := &bench{
		Service: job.New(job.Config{Store: s, Waker: w, Clock: clock.now, Monotonic: clock.monotonic}),
		t:       t, ctx: ctx, clock: clock, store: s, watched: w.watched,
	}
	a, err := b.CreateAgent(ctx, job.DefaultSpace, "web-1")
	require.NoError(t, err)
	b.caller = job.Caller{Space: job.DefaultSpace, AgentID: a.ID, Agent: a.Name}
	return b
}

// steady lets d go by, second by second, as a running sweeper sees it.
func (b *bench) steady(d time.Duration) {
	b.t.Helper()
	for ; d > 0; d -= time.Second {
		b.clock.pass(time.Second)
		require.NoError(b.t, b.Sweep(b.ctx))
	}
}

func (b *bench) push(message string) job.Job {
	b.t.Helper()
	created, err := b.Create(b.ctx, []job.Entry{{Draft: &job.Draft{
		Space: job.DefaultSpace, Agent: "web-1", Message: message,
		Sender: chat.Sender{Account: "terminal", User: "ada"},
	}}})
	require.NoError(b.t, err)
	require.NoError(b.t, created[0].Err)
	return created[0].Job
}

func (b *bench) poll(r job.PollRequest) job.PollAnswer {
	b.t.Helper()
	a, err := b.Poll(b.ctx, b.caller, r)
	require.NoError(b.t, err)
	return a
}

func (b *bench) take() job.Job {
	b.t.Helper()
	a := b.poll(job.PollRequest{Max: 1})
	require.Len(b.t, a.Jobs, 1)
	return a.Jobs[0]
}

func (b *bench) status(j job.Job) (job.Status, job.Reason) {
	b.t.Helper()
	now, err := b.Job(b.ctx, j.Space, j.ID)
	require.NoError(b.t, err)
	return now.Status, now.Reason
}

func (b *bench) requireStatus(j job.Job, status job.Status, reason job.Reason) {
	b.t.Helper()
	s, r := b.status(j)
	require.Equal(b.t, status, s)
	require.Equal(b.t, reason, r)
}

func (b *bench) report(j job.Job, status job.Status, output string) job.Updated {
	b.t.Helper()
	us, err := b.Report(b.ctx, b.caller, []job.Report{{ID: j.ID, Lease: j.Lease, Status: status, Output: &output}})
	require.NoError(b.t, err)
	require.Len(b.t, us, 1)
	return us[0]
}
