package node

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pass lets time go by in a bubble.
func pass(d time.Duration) { <-time.After(d) }

// leases are a store's leases, by the clock of the test.
type leases struct {
	mu   sync.Mutex
	rows map[string]*leaseRow
	err  error
	// slow holds every call up for that long.
	slow time.Duration
}

type leaseRow struct {
	holder string
	epoch  int64
	until  time.Time
}

func newLeases() *leases { return &leases{rows: map[string]*leaseRow{}} }

func (l *leases) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// holder returns who holds the lease now.
func (l *leases) holder(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.rows[name]; r != nil && time.Now().Before(r.until) {
		return r.holder
	}
	return ""
}

type fakeLeaser struct {
	*leases
	self string
}

func (l *leases) of(self string) chat.Leaser { return fakeLeaser{l, self} }

func (l fakeLeaser) Acquire(ctx context.Context, name string, ttl time.Duration) (int64, bool, error) {
	l.mu.Lock()
	slow, err := l.slow, l.err
	l.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return 0, false, ctx.Err()
		}
	}
	if err != nil {
		return 0, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rows[name]
	if r == nil {
		r = &leaseRow{}
		l.rows[name] = r
	}
	if r.holder != l.self {
		if r.holder != "" && time.Now().Before(r.until) {
			return r.epoch, false, nil
		}
		r.holder = l.self
		r.epoch++
	}
	r.until = time.Now().Add(ttl)
	return r.epoch, true, nil
}

func (l fakeLeaser) Release(_ context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.rows[name]; r != nil && r.holder == l.self && l.err == nil {
		r.holder, r.until = "", time.Time{}
	}
	return l.err
}

// worker runs a duty in a bubble and notes when its work begins and ends.
type worker struct {
	*Duty
	stop    context.CancelFunc
	stopped chan struct{}

	mu     sync.Mutex
	epochs []int64
	ended  []time.Time
	causes []error
	doing  bool
}

func startWorker(t *testing.T, c DutyConfig, edit func(*Duty)) *worker {
	t.Helper()
	c.Name = "sweep"
	w := &worker{Duty: NewDuty(c), stopped: make(chan struct{})}
	if edit != nil {
		edit(w.Duty)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.stop = cancel
	go func() {
		defer close(w.stopped)
		_ = w.Run(ctx, w.work)
	}()
	return w
}

func (w *worker) work(ctx context.Context, epoch int64) error {
	w.mu.Lock()
	w.epochs, w.doing = append(w.epochs, epoch), true
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doing = false
	w.ended, w.causes = append(w.ended, time.Now()), append(w.causes, context.Cause(ctx))
	return ctx.Err()
}

func (w *worker) is() (doing bool, epochs []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.doing, append([]int64(nil), w.epochs...)
}

// ends returns when the work ended, and why.
func (w *worker) ends() (at []time.Time, causes []error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Time(nil), w.ended...), append([]error(nil), w.causes...)
}

func (w *worker) end() {
	w.stop()
	<-w.stopped
}

func TestOneNodeAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases()
		a := startWorker(t, DutyConfig{Lease: l.of("a")}, nil)
		synctest.Wait()
		b := startWorker(t, DutyConfig{Lease: l.of("b")}, nil)
		pass(time.Hour)
		doing, epochs := a.is()
		require.True(t, doing, "who has it keeps it")
		require.Equal(t, []int64{1}, epochs)
		doing, epochs = b.is()
		require.False(t, doing)
		require.Empty(t, epochs)
		epoch, held := a.Held()
		require.True(t, held)
		require.EqualValues(t, 1, epoch)

		a.end() // gives it back
		_, held = a.Held()
		require.False(t, held)
		pass(defaultTTL/3 + time.Millisecond)
		doing, epochs = b.is()
		require.True(t, doing, "another takes it at its next turn")
		require.Equal(t, []int64{2}, epochs)
		b.end()
		require.Empty(t, l.holder("sweep"))
	})
}

func TestWorkEndsBeforeTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases()
		a := startWorker(t, DutyConfig{Lease: l.of("a")}, nil)
		pass(time.Minute)
		l.fail(errors.New("the database is away"))
		for l.holder("sweep") == "a" {
			pass(10 * time.Millisecond)
		}
		runOut := time.Now()
		doing, _ := a.is()
		require.False(t, doing)
		ended, causes := a.ends()
		require.Len(t, ended, 1)
		require.GreaterOrEqual(t, runOut.Sub(ended[0]), defaultTTL/4, "the work ended a margin before the lease")
		require.ErrorIs(t, causes[0], ErrLost)

		l.fail(nil)
		pass(defaultTTL)
		doing, epochs := a.is()
		require.True(t, doing, "it comes back with the database")
		require.Len(t, epochs, 2)
		a.end()
	})
}

func TestErrorsAreToleratedUntilTheMargin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases()
		a := startWorker(t, DutyConfig{Lease: l.of("a")}, nil)
		for range 20 {
			synctest.Wait()
			l.fail(errors.New("the database is away"))
			pass(defaultTTL / 3)
			l.fail(nil)
			pass(defaultTTL / 3)
		}
		_, epochs := a.is()
		require.Equal(t, []int64{1}, epochs)
		ended, _ := a.ends()
		require.Empty(t, ended)
		a.end()
	})
}

// An answer that comes late says how it was when it was asked.
func TestSlowRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases()
		a := startWorker(t, DutyConfig{Lease: l.of("a")}, nil)
		pass(time.Second)
		l.mu.Lock()
		l.slow = defaultTTL
		l.mu.Unlock()
		pass(defaultTTL)
		ended, causes := a.ends()
		require.Len(t, ended, 1)
		require.ErrorIs(t, causes[0], ErrLost)
		a.end()
	})
}

// A process that is stopped and goes on runs its goroutines in any order: the
// work may go on before any timer of it ran.
func TestStoppedProcessFindsItsDutyLost(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]func(time.Time) time.Time{
		"by the monotonic clock": func(t time.Time) time.Time { return t.Add(defaultTTL) },
		// A machine that slept: its monotonic clock did so too.
		"by the wall clock alone": func(t time.Time) time.Time { return t.Round(0).Add(defaultTTL) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLeases()
			var stopped bool
			var mu sync.Mutex
			d := NewDuty(DutyConfig{Lease: l.of("a"), Name: "sweep"})
			d.now = func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				if stopped {
					return jump(time.Now())
				}
				return time.Now()
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := d.Run(ctx, func(work context.Context, _ int64) error {
				require.NoError(t, work.Err())
				mu.Lock()
				stopped = true
				mu.Unlock()
				require.ErrorIs(t, work.Err(), context.Canceled)
				require.ErrorIs(t, context.Cause(work), ErrLost)
				cancel()
				return nil
			})
			require.NoError(t, err)
		})
	}
}

func TestLeaseTakenByAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases()
		a := startWorker(t, DutyConfig{Lease: l.of("a")}, nil)
		synctest.Wait()
		l.mu.Lock() // somebody set the database's clock ahead
		l.rows["sweep"] = &leaseRow{holder: "b", epoch: 7, until: time.Now().Add(time.Minute)}
		l.mu.Unlock()
		pass(defaultTTL/3 + time.Millisecond)
		ended, causes := a.ends()
		require.Len(t, ended, 1)
		require.ErrorIs(t, causes[0], ErrLost)
		a.end()
		require.Equal(t, "b", l.holder("sweep"), "what is another's is not given back")
	})
}

func TestWorkThatEndsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases()
		d := NewDuty(DutyConfig{Lease: l.of("a"), Name: "sweep"})
		ctx, cancel := context.WithCancel(t.Context())
		var turns []time.Time
		err := d.Run(ctx, func(context.Context, int64) error {
			if turns = append(turns, time.Now()); len(turns) == 3 {
				cancel()
			}
			return errors.New("a broken thing")
		})
		require.NoError(t, err)
		require.Len(t, turns, 3)
		require.Equal(t, defaultTTL/3, turns[1].Sub(turns[0]))
	})
}

// Work that takes longer to end keeps its lease meanwhile, so that nobody
// begins before it ended.
func TestStopWaitsForTheWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases()
		d := NewDuty(DutyConfig{Lease: l.of("a"), Name: "sweep"})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { pass(time.Second); cancel() }()
		err := d.Run(ctx, func(ctx context.Context, _ int64) error {
			<-ctx.Done()
			pass(3 * defaultTTL)
			require.Equal(t, "a", l.holder("sweep"))
			require.NotErrorIs(t, context.Cause(ctx), ErrLost)
			return nil
		})
		require.NoError(t, err)
		require.Empty(t, l.holder("sweep"))
	})
}

func TestDutyGoesToWhoComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases()
		var mu sync.Mutex
		first := "a"
		rank := func(self string) func() int {
			return func() int {
				mu.Lock()
				defer mu.Unlock()
				if self == first {
					return 0
				}
				return 1
			}
		}
		a := startWorker(t, DutyConfig{Lease: l.of("a"), Rank: rank("a")}, nil)
		b := startWorker(t, DutyConfig{Lease: l.of("b"), Rank: rank("b")}, nil)
		c := startWorker(t, DutyConfig{Lease: l.of("c"), Rank: rank("c")}, nil)
		pass(time.Minute)
		require.Equal(t, "a", l.holder("sweep"))

		mu.Lock()
		first = "b"
		mu.Unlock()
		pass(time.Minute)
		require.Equal(t, "b", l.holder("sweep"), "it is handed over")

		b.end()
		mu.Lock()
		first = "nobody here"
		mu.Unlock()
		for range 30 {
			pass(defaultTTL / 10)
			if l.holder("sweep") != "" {
				break
			}
		}
		require.NotEmpty(t, l.holder("sweep"), "somebody does it while the first does not")
		a.end()
		c.end()
	})
}
