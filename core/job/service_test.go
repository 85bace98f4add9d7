package job_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/store"
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
	db, err := store.OpenSQLite(ctx, store.SQLiteConfig{Path: filepath.Join(t.TempDir(), "skadi.db"), Clock: clock.now})
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

func TestWholeLife(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pushed := b.push("deploy v1")
	require.Equal(t, job.Queuing, pushed.Status)
	taken := b.take()
	require.Equal(t, pushed.ID, taken.ID)
	require.Equal(t, "deploy v1", taken.Message)
	require.Empty(t, b.poll(job.PollRequest{Max: 1}).Jobs, "a sent job is never offered again")
	require.NoError(t, b.report(taken, job.Succeeded, "done").Err)

	got, err := b.JobByCode(b.ctx, job.DefaultSpace, "#"+pushed.Code())
	require.NoError(t, err)
	require.Equal(t, job.Succeeded, got.Status)
	require.Equal(t, "done", got.Result.Output)
	history, err := b.History(b.ctx, got.Space, got.ID)
	require.NoError(t, err)
	var statuses []job.Status
	for _, e := range history {
		statuses = append(statuses, e.Status)
	}
	require.Equal(t, []job.Status{job.Queuing, job.Sent, job.Succeeded}, statuses)
}

func TestPollWakesForAJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	answer := make(chan job.PollAnswer)
	go func() {
		a, err := b.Poll(b.ctx, b.caller, job.PollRequest{Max: 1, Wait: job.MaxWait})
		if err != nil {
			t.Error(err)
		}
		answer <- a
	}()
	pushed := b.push("uptime")
	require.Equal(t, pushed.ID, (<-answer).Jobs[0].ID)
}

func TestWaitWakesForAResult(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("uptime")
	taken := b.take()
	got := make(chan job.Job)
	go func() {
		j, err := b.Wait(b.ctx, taken.Space, taken.ID, time.Minute)
		if err != nil {
			t.Error(err)
		}
		got <- j
	}()
	b.report(taken, job.Failed, "no")
	require.Equal(t, job.Failed, (<-got).Status)
}

func TestConfirmedHandOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.push("deploy v1")
	first := b.poll(job.PollRequest{Max: 1, Confirm: true}).Jobs[0]
	b.requireStatus(j, job.Queuing, "")
	require.Empty(t, b.poll(job.PollRequest{Max: 1, Confirm: true}).Jobs, "it is offered to one at a time")

	b.steady(31 * time.Second)
	second := b.poll(job.PollRequest{Max: 1, Confirm: true}).Jobs[0]
	start := func(lease string) error {
		us, err := b.Start(b.ctx, b.caller, []job.Hold{{ID: j.ID, Lease: lease}})
		require.NoError(t, err)
		return us[0].Err
	}
	require.ErrorIs(t, start(first.Lease), job.ErrLease)
	require.NoError(t, start(second.Lease))
	require.NoError(t, start(second.Lease), "the same lease again is no error")
	require.ErrorIs(t, start(first.Lease), job.ErrLease)
	b.requireStatus(j, job.Sent, "")
}

func TestOfferThatRanOutWakesThePoll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("deploy v1")
	require.Len(t, b.poll(job.PollRequest{Max: 1, Confirm: true}).Jobs, 1)
	answer := make(chan job.PollAnswer)
	go func() {
		a, err := b.Poll(b.ctx, b.caller, job.PollRequest{Max: 1, Confirm: true, Wait: job.MaxWait})
		if err != nil {
			t.Error(err)
		}
		answer <- a
	}()
	b.steady(31 * time.Second)
	require.Len(t, (<-answer).Jobs, 1)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	queuing := b.push("one")
	j, err := b.Cancel(b.ctx, queuing.Space, queuing.ID, "terminal:ada")
	require.NoError(t, err)
	require.Equal(t, job.Canceled, j.Status)
	_, err = b.Cancel(b.ctx, queuing.Space, queuing.ID, "terminal:ada")
	require.ErrorIs(t, err, job.ErrFinal)

	b.push("two")
	running := b.take()
	_, err = b.Cancel(b.ctx, running.Space, running.ID, "terminal:ada")
	require.NoError(t, err)
	b.requireStatus(running, job.Sent, "")
	hold := job.Hold{ID: running.ID, Lease: running.Lease}
	require.Equal(t, []job.Hold{hold}, b.poll(job.PollRequest{Running: []job.Hold{hold}}).Cancel)
	require.Empty(t, b.poll(job.PollRequest{}).Cancel, "told a moment ago")
	b.steady(10 * time.Second)
	require.Equal(t, []job.Hold{hold}, b.poll(job.PollRequest{}).Cancel, "and again after a while")
	require.NoError(t, b.report(running, job.Canceled, "").Err)
	b.requireStatus(running, job.Canceled, "")
}

func TestReportsThatCannotCount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("one")
	j := b.take()
	require.NoError(t, b.report(j, job.Succeeded, "a").Err)
	require.NoError(t, b.report(j, job.Succeeded, "a").Err, "an identical repetition is fine")
	u := b.report(j, job.Failed, "b")
	require.ErrorIs(t, u.Err, job.ErrFinal)
	require.Equal(t, job.Succeeded, u.Job.Status)
	require.Len(t, u.Job.Late, 1)
	require.ErrorIs(t, b.report(j, job.Failed, "b").Err, job.ErrFinal)
	got, err := b.Job(b.ctx, j.Space, j.ID)
	require.NoError(t, err)
	require.Len(t, got.Late, 1)

	us, err := b.Report(b.ctx, b.caller, []job.Report{
		{ID: j.ID, Lease: j.Lease, Status: "done"},
		{ID: "019f0000-0000-7000-8000-000000000000", Lease: "L", Status: job.Failed},
		{ID: j.ID, Lease: "wrong", Status: job.Failed},
	})
	require.NoError(t, err)
	var bad *job.InvalidError
	require.ErrorAs(t, us[0].Err, &bad)
	require.Equal(t, "status", bad.Field)
	require.ErrorIs(t, us[1].Err, job.ErrNotFound)
}

func TestReportAfterExpiryIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("one")
	j := b.take()
	b.steady(10*time.Minute + time.Second)
	b.requireStatus(j, job.Expired, job.NoResult)
	u := b.report(j, job.Succeeded, "better late")
	require.ErrorIs(t, u.Err, job.ErrFinal)
	require.Equal(t, job.Expired, u.Job.Status)
	require.Equal(t, "better late", u.Job.Late[0].Output)
}

func TestWordsPutOffExpiry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("one")
	j := b.take()
	hold := []job.Hold{{ID: j.ID, Lease: j.Lease}}
	b.steady(9 * time.Minute)
	require.NoError(t, b.Output(b.ctx, b.caller, j.ID, j.Lease, job.OutputChunk{Seq: 1, Text: "still at it\n"}))
	b.steady(9 * time.Minute)
	b.requireStatus(j, job.Sent, "")
	b.poll(job.PollRequest{Running: hold})
	b.steady(9 * time.Minute)
	b.requireStatus(j, job.Sent, "")
	for range 5 {
		b.poll(job.PollRequest{Running: hold})
		b.steady(9 * time.Minute)
	}
	b.requireStatus(j, job.Expired, job.MaxRun)
	require.Equal(t, hold, b.poll(job.PollRequest{Running: hold}).Cancel, "what ran too long is to be stopped")
}

func TestOutput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("one")
	j := b.take()
	out := func(lease string, seq int64, text string) error {
		return b.Output(b.ctx, b.caller, j.ID, lease, job.OutputChunk{Seq: seq, Text: text})
	}
	require.NoError(t, out(j.Lease, 1, "a\n"))
	require.NoError(t, out(j.Lease, 1, "a\n"), "a repetition is ignored")
	var gap *job.GapError
	require.ErrorAs(t, out(j.Lease, 3, "c\n"), &gap)
	require.EqualValues(t, 2, gap.Expected)
	require.ErrorIs(t, out("other", 2, "b\n"), job.ErrLease)
	require.NoError(t, out(j.Lease, 2, "b\n"))
	us, err := b.Report(b.ctx, b.caller, []job.Report{{ID: j.ID, Lease: j.Lease, Status: job.Succeeded}})
	require.NoError(t, err)
	require.NoError(t, us[0].Err)
	got, err := b.Job(b.ctx, j.Space, j.ID)
	require.NoError(t, err)
	require.Equal(t, "a\nb\n", got.Result.Output, "without an output of its own the streamed one stands")
	require.ErrorIs(t, out(j.Lease, 3, "c\n"), job.ErrFinal)
}

func TestOfflineAgent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	waiting := b.push("one")
	b.steady(3*time.Minute + time.Second)
	b.requireStatus(waiting, job.Expired, job.AgentOffline)
	at := b.push("two")
	require.Equal(t, job.Expired, at.Status, "an agent that is offline already expires the job at once")
	history, err := b.History(b.ctx, at.Space, at.ID)
	require.NoError(t, err)
	require.False(t, history[1].AgentSeenAt.IsZero())
	require.Contains(t, job.Explain(history[1], "web-1"), "offline for 3 min")
}

func TestNotTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.push("one")
	for range 60 {
		require.NoError(t, b.CheckIn(b.ctx, b.caller))
		b.steady(time.Minute)
	}
	b.requireStatus(j, job.Expired, job.NotTaken)
}

// TestNothingExpiresInABurst is the outages that must not be taken for the
// agents' silence: each ends with the agent back in time, and its job alive.
func TestNothingExpiresInABurst(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(b *bench){
		"the clock was set a day ahead":         func(b *bench) { b.clock.set(24 * time.Hour) },
		"the clock was set a day back":          func(b *bench) { b.clock.set(-24 * time.Hour) },
		"the process was stopped for 20 min":    func(b *bench) { b.clock.pass(20 * time.Minute) },
		"the machine was suspended for 20 min":  func(b *bench) { b.clock.set(20 * time.Minute) },
		"the database was away for 20 min":      databaseAway,
		"the database was away and clock wrong": func(b *bench) { databaseAway(b); b.clock.set(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.push("running")
			running := b.take()
			queuing := b.push("queuing")
			outage(b)
			for range 10 {
				require.NoError(t, b.Sweep(b.ctx))
				b.clock.pass(time.Second)
			}
			b.requireStatus(queuing, job.Queuing, "")
			b.requireStatus(running, job.Sent, "")
			during := b.push("pushed in the hold")
			require.Equal(t, job.Queuing, during.Status, "the agent had no chance to check in yet")
			// The agent comes back and says what it runs.
			hold := []job.Hold{{ID: running.ID, Lease: running.Lease}}
			b.poll(job.PollRequest{Running: hold})
			b.steady(2 * time.Minute)
			b.poll(job.PollRequest{Running: hold})
			b.steady(2 * time.Minute)
			b.requireStatus(queuing, job.Queuing, "")
			b.requireStatus(running, job.Sent, "")
		})
	}
}

func databaseAway(b *bench) {
	b.store.setAway(true)
	for range 20 * 60 {
		b.clock.pass(time.Second)
		require.ErrorIs(b.t, b.Sweep(b.ctx), job.ErrUnavailable)
	}
	b.store.setAway(false)
}

func TestHoldAfterAStart(t *testing.T) {
	t.Parallel()
	b := fresh(t)
	require.Equal(t, job.Expired, b.push("one").Status, "never seen is no outage")
	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	j := b.push("two")
	b.steady(2 * time.Minute)
	b.requireStatus(j, job.Queuing, "")
}

func TestSecondInstance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.poll(job.PollRequest{Instance: "a"})
	_, err := b.Poll(b.ctx, b.caller, job.PollRequest{Instance: "b"})
	require.ErrorIs(t, err, job.ErrInstance)
	b.clock.pass(time.Minute)
	b.poll(job.PollRequest{Instance: "b"})
	_, err = b.Poll(b.ctx, b.caller, job.PollRequest{Instance: "a"})
	require.ErrorIs(t, err, job.ErrInstance)
}

func TestRemovedAgent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.push("one")
	require.NoError(t, b.Pause(b.ctx, job.DefaultSpace, "web-1", "terminal:ada"))
	ended := make(chan error)
	go func() {
		_, err := b.Poll(b.ctx, b.caller, job.PollRequest{Max: 1, Wait: job.MaxWait})
		ended <- err
	}()
	b.clock.pass(2 * time.Second)
	require.NoError(t, b.RemoveAgent(b.ctx, job.DefaultSpace, "web-1", "token:root"))
	require.ErrorIs(t, <-ended, job.ErrAgentRemoved)
	b.requireStatus(j, job.Canceled, job.AgentRemoved)
	_, err := b.Poll(b.ctx, b.caller, job.PollRequest{})
	require.ErrorIs(t, err, job.ErrAgentRemoved)
	created, err := b.Create(b.ctx, []job.Entry{{Draft: &job.Draft{Space: job.DefaultSpace, Agent: "web-1", Message: "x"}}})
	require.NoError(t, err)
	require.ErrorIs(t, created[0].Err, job.ErrUnknownAgent)
}

func TestPause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.Pause(b.ctx, job.DefaultSpace, "web-1", "terminal:ada"))
	b.push("one")
	require.Empty(t, b.poll(job.PollRequest{Max: 1}).Jobs)
	require.NoError(t, b.Resume(b.ctx, job.DefaultSpace, "web-1", "terminal:ada"))
	require.Len(t, b.poll(job.PollRequest{Max: 1}).Jobs, 1)
}

func TestApproval(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ask := func() job.Job {
		created, err := b.Create(b.ctx, []job.Entry{{Draft: &job.Draft{Space: job.DefaultSpace, Agent: "web-1", Message: "drop", NeedsApproval: true}}})
		require.NoError(t, err)
		return created[0].Job
	}
	j := ask()
	require.Empty(t, b.poll(job.PollRequest{Max: 1}).Jobs)
	_, err := b.Approve(b.ctx, j.Space, j.ID, "terminal:bob", true)
	require.NoError(t, err)
	require.Len(t, b.poll(job.PollRequest{Max: 1}).Jobs, 1)

	denied, err := b.Approve(b.ctx, j.Space, ask().ID, "terminal:bob", false)
	require.NoError(t, err)
	require.Equal(t, job.Denied, denied.Reason)

	late := ask()
	b.steady(10 * time.Minute)
	b.requireStatus(late, job.Queuing, "")
	gone, err := b.Approve(b.ctx, late.Space, late.ID, "terminal:bob", true)
	require.NoError(t, err)
	require.Equal(t, job.AgentOffline, gone.Reason, "approval checks the agent again")
}

func TestOpenPollCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(b.ctx)
	running := make(chan error, 2)
	go func() { running <- b.Run(ctx) }()
	go func() {
		_, err := b.Poll(ctx, b.caller, job.PollRequest{Wait: job.MaxWait})
		running <- err
	}()
	b.push("one") // wakes it; it asked for none and waits on
	cancel()
	require.NoError(t, <-running)
	require.NoError(t, <-running)
}

func TestCreateAnswersEachEntry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	draft := func(agent, message string) job.Entry {
		return job.Entry{Draft: &job.Draft{Space: job.DefaultSpace, Agent: agent, Message: message}}
	}
	created, err := b.Create(b.ctx, []job.Entry{
		draft("web-1", " \n"), draft("web-1", "a\x00b"), draft("web-1", "\xff"), draft("nobody", "x"),
		draft("Not A Name", "x"), draft("web-1", string(make([]byte, 70<<10))), draft("web-1", "fine"),
	})
	require.NoError(t, err)
	for i, want := range []string{"is empty", "NUL", "UTF-8", "no such agent", "no such agent", "at most", ""} {
		if want == "" {
			require.NoError(t, created[i].Err)
			require.NotEmpty(t, created[i].Job.Code())
			continue
		}
		require.ErrorContains(t, created[i].Err, want)
	}
}

func TestPollRefusesNonsense(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, r := range []job.PollRequest{
		{Wait: -1},
		{Wait: time.Hour},
		{Max: -1},
		{Max: 1001},
		{Version: strings.Repeat("v", 65)},
		{Commands: make([]job.Command, 1001)},
		{Commands: []job.Command{{Name: "a", Help: strings.Repeat("h", 2000)}}},
	} {
		_, err := b.Poll(b.ctx, b.caller, r)
		var bad *job.InvalidError
		require.True(t, errors.As(err, &bad), err)
	}
}
