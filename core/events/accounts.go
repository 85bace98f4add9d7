package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// ErrAccountExists is returned when an account of that name is there already.
var ErrAccountExists = errors.New("there is an account of that name")

// State is how an account does.
type State string

// The states of an account.
const (
	Starting  State = "starting"  // not run yet, or not connected yet
	Healthy   State = "healthy"   // it runs, reaches its far side, and sends what it is given
	Unhealthy State = "unhealthy" // see Health.Err
)

// Health is how an account does, for readyz, metrics and the console.
type Health struct {
	Account string
	Kind    string
	State   State
	Since   time.Time
	// Err is what is wrong with an unhealthy account, or why one that starts
	// has not connected yet.
	Err string
	// Restarts counts how often its adapter was started again.
	Restarts int
}

// Account is one adapter account of the config.
type Account struct {
	Name    string
	Kind    string
	Adapter chat.Adapter
	// Line is what the adapter reports over; nil if it reports nothing.
	Line *Line
}

const (
	runMinBackoff = time.Second
	runMaxBackoff = 5 * time.Minute
	// runSteady is how long an adapter must run to count as healthy again
	// after it had ended.
	runSteady = 10 * time.Second
)

// Accounts runs the adapter of each account and knows how each does. An
// account that fails is started again with backoff and disturbs no other. Its
// methods may be called concurrently.
type Accounts struct {
	clock chat.Clock
	log   *slog.Logger

	mu   sync.Mutex
	all  map[string]*account
	runs sync.WaitGroup
	// launch starts an account under Run's context; nil while Run does not run.
	launch func(e *account)
}

// account is one entry; its fields are guarded by Accounts.mu.
type account struct {
	Account
	stop context.CancelFunc // ends its run; nil while it does not run
	done chan struct{}      // closed when its run has ended
	// before is closed when the run of the adapter in whose place this one is
	// has ended; nil if there was none.
	before <-chan struct{}

	started  bool
	running  bool     // its adapter is in Run
	steady   bool     // for runSteady
	worked   bool     // its adapter has reported since Run began that it works
	ended    bool     // for good
	trouble  *trouble // nil while the adapter reports none
	restarts int
	runErr   error // why Run ended, until it runs steadily again
	sendErr  error // why sending is paused, until something is sent
	since    time.Time
}

// NewAccounts returns an empty registry. clock and log may be nil.
func NewAccounts(clock chat.Clock, log *slog.Logger) *Accounts {
	if clock == nil {
		clock = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Accounts{clock: clock, log: log, all: make(map[string]*account)}
}

// Add adds an account, and starts its adapter if Run runs.
func (a *Accounts) Add(acc Account) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[acc.Name] != nil {
		return fmt.Errorf("%w: %s", ErrAccountExists, acc.Name)
	}
	e := &account{Account: acc, since: a.clock()}
	a.all[acc.Name] = e
	if a.launch != nil {
		a.launch(e)
	}
	return nil
}

// Replace puts another adapter in an account's place, and reports whether
// there was such an account. From now on the new one is sent with, and it
// receives once the old one has ended, for which Replace waits. What the old
// one is sending it sends to the end.
func (a *Accounts) Replace(acc Account) bool {
	a.mu.Lock()
	old := a.all[acc.Name]
	if old == nil {
		a.mu.Unlock()
		return false
	}
	e := &account{Account: acc, since: a.clock(), before: old.before}
	if old.stop != nil {
		old.stop()
		e.before = old.done
	}
	a.all[acc.Name] = e
	if a.launch != nil {
		a.launch(e)
	}
	a.mu.Unlock()
	if e.before != nil {
		<-e.before
	}
	return true
}

// Remove ends the account's adapter, waits for that, and forgets the account.
// It reports whether there was one.
func (a *Accounts) Remove(name string) bool {
	a.mu.Lock()
	e := a.all[name]
	delete(a.all, name)
	a.mu.Unlock()
	if e == nil {
		return false
	}
	// Nobody starts an account that is no longer in the map.
	if e.stop != nil {
		e.stop()
		<-e.done
	}
	return true
}

// Run runs every account's adapter until ctx ends, waits for them to end, and
// returns nil.
func (a *Accounts) Run(ctx context.Context) error {
	a.mu.Lock()
	a.launch = func(e *account) { a.start(ctx, e) }
	for _, e := range a.all {
		a.start(ctx, e)
	}
	a.mu.Unlock()

	<-ctx.Done()

	a.mu.Lock()
	a.launch = nil
	a.mu.Unlock()
	a.runs.Wait()
	return nil
}

// start is called with a.mu held.
func (a *Accounts) start(ctx context.Context, e *account) {
	if e.Line != nil {
		e.Line.lead(func(err error) { a.reported(e, err) })
	}
	ctx, cancel := context.WithCancel(ctx)
	e.stop, e.done = cancel, make(chan struct{})
	a.runs.Go(func() {
		defer close(e.done)
		defer cancel()
		if e.before != nil {
			<-e.before
		}
		if ctx.Err() == nil {
			a.supervise(ctx, e)
		}
	})
}

// supervise runs an adapter again and again until ctx ends.
func (a *Accounts) supervise(ctx context.Context, e *account) {
	log := a.log.With("account", e.Name, "kind", e.Kind)
	for failures := 0; ; {
		a.change(e, func() { e.started, e.running = true, true })
		steady := time.AfterFunc(runSteady, func() {
			a.change(e, func() {
				e.steady = e.running
				e.settle()
			})
		})
		began := time.Now()
		err := runAdapter(ctx, e.Adapter, log)
		steady.Stop()
		if ctx.Err() != nil {
			a.change(e, func() { e.ended = true; e.trouble.stop() })
			return
		}
		if err == nil {
			err = errNoReason
		}
		if time.Since(began) >= runSteady {
			failures = 0
		}
		failures++
		wait := min(runMinBackoff<<min(failures-1, 20), runMaxBackoff)
		log.Error("the account does not work; starting it again", "err", err, "in", wait)
		a.change(e, func() {
			e.trouble.stop()
			e.runErr, e.running, e.steady, e.worked, e.trouble = err, false, false, false, nil
		})
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		a.change(e, func() { e.restarts++ })
	}
}

// runAdapter turns a panic of the adapter into an error.
func runAdapter(ctx context.Context, adapter chat.Adapter, log *slog.Logger) (err error) {
	defer func() {
		if r := recover(); r != nil {
			log.Error("an adapter panicked while receiving", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("its adapter panicked: %v", r)
		}
	}()
	return adapter.Run(ctx)
}

func (e *account) state() State {
	switch {
	case e.runErr != nil || e.sendErr != nil || e.inTold():
		return Unhealthy
	case !e.started, e.trouble != nil && !e.trouble.works && !e.worked:
		return Starting
	}
	return Healthy
}

// Adapter returns the account's adapter, and false if there is no such
// account.
func (a *Accounts) Adapter(name string) (chat.Adapter, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.all[name]
	if e == nil {
		return nil, false
	}
	return e.Adapter, true
}

// Receiving reports whether the account can take something in: not while its
// adapter has failed and waits to be started again.
func (a *Accounts) Receiving(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.all[name]
	return e != nil && (e.running || e.runErr == nil)
}

// Fault notes that the account cannot send, because of its credentials.
func (a *Accounts) Fault(name string, err error) { a.sendErr(name, err) }

// Recovered notes that the account has sent something.
func (a *Accounts) Recovered(name string) { a.sendErr(name, nil) }

func (a *Accounts) sendErr(name string, err error) {
	a.mu.Lock()
	e := a.all[name]
	a.mu.Unlock()
	if e != nil {
		a.change(e, func() { e.sendErr = err })
	}
}

// Health returns how each account does, by name.
func (a *Accounts) Health() []Health {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]Health, 0, len(a.all))
	for _, e := range a.all {
		h := Health{Account: e.Name, Kind: e.Kind, State: e.state(), Since: e.since, Restarts: e.restarts}
		if err := e.fault(); err != nil {
			h.Err = err.Error()
		}
		all = append(all, h)
	}
	slices.SortFunc(all, func(x, y Health) int { return cmp.Compare(x.Account, y.Account) })
	return all
}
