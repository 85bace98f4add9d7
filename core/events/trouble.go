package events

import (
	"errors"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// troubleGrace is how long an adapter may be in trouble until its account
	// is unhealthy, so that a short reconnect is nothing.
	troubleGrace = 30 * time.Second
	// troubleCalm is how long it must then work for the trouble to be over: a
	// connection that ends as soon as it is made does not work.
	troubleCalm = 10 * time.Second
)

// Line leads from the Env of an adapter to its account: chat.Env.Reported is
// Report of a Line, which Account names. It belongs to that one adapter, so
// that nothing which the adapter before it says late is taken for its word. It
// may be used concurrently.
type Line struct {
	mu sync.Mutex
	to func(err error)
}

// Report is for chat.Env.Reported.
func (l *Line) Report(err error) {
	l.mu.Lock()
	to := l.to
	l.mu.Unlock()
	if to != nil {
		to(err)
	}
}

func (l *Line) lead(to func(err error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = to
}

// trouble is a time in which an adapter cannot do its work, with what little
// it works in between. It is guarded by Accounts.mu.
type trouble struct {
	err   error // the newest
	works bool  // it works at the moment, and is watched
	late  bool  // it is older than troubleGrace
	told  bool  // the account is unhealthy because of it
	grace *time.Timer
	calm  *time.Timer
}

// stop stops the timers. What one of them has begun it does.
func (t *trouble) stop() {
	if t == nil {
		return
	}
	t.grace.Stop()
	if t.calm != nil {
		t.calm.Stop()
	}
}

// reported takes what the adapter of e reports while it runs.
func (a *Accounts) reported(e *account, err error) {
	a.change(e, func() {
		switch {
		case !e.running || e.ended:
		case err != nil:
			a.inTrouble(e, err)
		default:
			a.outOfTrouble(e)
		}
	})
}

// inTrouble is called with a.mu held, as is outOfTrouble.
func (a *Accounts) inTrouble(e *account, err error) {
	t := e.trouble
	if t == nil {
		t = &trouble{}
		t.grace = time.AfterFunc(troubleGrace, func() {
			a.change(e, func() {
				t.late = true
				t.told = t.told || !t.works
			})
		})
		e.trouble = t
	}
	if t.calm != nil {
		t.calm.Stop()
	}
	t.err, t.works = err, false
	t.told = t.told || t.late
}

func (a *Accounts) outOfTrouble(e *account) {
	e.worked = true
	t := e.trouble
	if t == nil || t.works {
		return
	}
	t.works = true
	t.calm = time.AfterFunc(troubleCalm, func() {
		a.change(e, func() {
			if e.trouble == t && t.works {
				t.grace.Stop()
				e.trouble = nil
				e.settle()
			}
		})
	})
}

// settle forgets why Run ended once it runs steadily and without trouble.
func (e *account) settle() {
	if e.steady && e.trouble == nil {
		e.runErr = nil
	}
}

// inTold reports whether the account is unhealthy because of its trouble.
func (e *account) inTold() bool { return e.trouble != nil && e.trouble.told }

// change changes an account, notes since when its state is what it is, and
// logs it where nobody else does.
func (a *Accounts) change(e *account, f func()) {
	a.mu.Lock()
	before, toldBefore, since := e.state(), e.inTold(), e.since
	f()
	after, told, err := e.state(), e.inTold(), e.fault()
	if after != before {
		e.since = a.clock()
	}
	ended, now := e.ended, e.since
	a.mu.Unlock()
	log := a.log.With("account", e.Name, "kind", e.Kind)
	switch {
	case ended:
	case told && !toldBefore:
		log.Error("the account does not work; it goes on trying", "err", err)
	case before == Unhealthy && after == Healthy:
		log.Info("the account works again", "after", now.Sub(since).Round(time.Second))
	}
}

// fault is what is wrong with the account: the newest thing first. It is
// called with Accounts.mu held.
func (e *account) fault() error {
	switch {
	case e.inTold():
		return e.trouble.err
	case e.runErr != nil:
		return e.runErr
	case e.sendErr == nil && e.state() == Starting && e.trouble != nil && !errors.Is(e.trouble.err, chat.ErrConnecting):
		return e.trouble.err // a try has failed already
	}
	return e.sendErr
}

// errNoReason stands in for the error of a Run that has none.
var errNoReason = errors.New("its adapter ended without a reason")
