package job

import (
	"sync"
	"time"
)

// outageWatch notices when this process cannot tell whether an agent was
// silent or it was deaf itself: after a start, a pause, a clock that was set,
// or a database that was away. It then holds all expiry for one offline
// period. Every node has one of its own; only the sweeper's decides what
// expires of jobs that are there.
//
// The clock is the database's. When it is set back, what is open then becomes
// due later, by as much as the clock was set back and no more: nothing runs
// twice or is lost by that. What comes after goes by the new clock.
type outageWatch struct {
	jump      time.Duration
	monotonic func() time.Duration

	mu         sync.Mutex
	offline    time.Duration
	holdUntil  time.Duration // monotonic
	sweepUntil time.Duration // until then the sweeper holds as well
	lastWall   time.Time     // the store's clock; zero before the first pass
	lastMono   time.Duration
	// ahead is how far the clock jumped ahead, and aheadAt when that was seen.
	ahead, aheadAt time.Duration
}

func newOutageWatch(t Times, monotonic func() time.Duration) *outageWatch {
	return &outageWatch{
		offline: t.Offline, jump: t.ClockJump, monotonic: monotonic,
		holdUntil: monotonic() + t.Offline,
	}
}

// pass compares the clocks with those of the pass before, and remembers how
// far the wall clock jumped ahead of the monotonic one, if it did.
func (w *outageWatch) pass(wall time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Round strips the monotonic reading, so that differences are the wall
	// clock's.
	wall, mono := wall.Round(0), w.monotonic()
	first := w.lastWall.IsZero()
	passed := mono - w.lastMono
	jumped := wall.Sub(w.lastWall) - passed
	w.lastWall, w.lastMono = wall, mono
	if first || jumped.Abs() <= w.jump && passed <= sweepPeriod+w.jump {
		return
	}
	w.holdUntil = mono + w.offline
	if jumped > w.jump {
		w.ahead, w.aheadAt = w.aheadNow()+jumped, mono
	}
}

// jumped returns how far the clock jumped ahead since the deadlines were put
// off.
func (w *outageWatch) jumped() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.aheadNow()
}

// aheadNow leaves out a jump of long ago: the sweeper of then took care of it.
func (w *outageWatch) aheadNow() time.Duration {
	if w.monotonic()-w.aheadAt > w.offline {
		return 0
	}
	return w.ahead
}

// evened notes that deadlines were put off by that much.
func (w *outageWatch) evened(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead = max(w.ahead-by, 0)
}

// tookOver has the sweeper hold for one offline period.
func (w *outageWatch) tookOver() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sweepUntil = w.monotonic() + w.offline
}

// begin holds expiry from now on for one offline period.
func (w *outageWatch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holdUntil = w.monotonic() + w.offline
}

// changed notes another offline period. Who was silent for the new one may
// have kept to the old one, so expiry is held for the longer of the two.
func (w *outageWatch) changed(offline time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holdUntil = max(w.holdUntil, w.monotonic()+max(w.offline, offline))
	w.offline = offline
}

// holding reports whether an agent's silence may have been this node's.
func (w *outageWatch) holding() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.monotonic() < w.holdUntil
}

// holdingSweep reports whether the sweeper is to leave all as it is.
func (w *outageWatch) holdingSweep() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.monotonic() < max(w.holdUntil, w.sweepUntil)
}
