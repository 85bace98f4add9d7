package job

import (
	"context"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	sweepPeriod  = time.Second
	sweepBatch   = 200
	retainPeriod = time.Minute
	retainBatch  = 200
)

// sweep expires what is due, once a second.
func (s *Service) sweep(ctx context.Context) {
	every(ctx, sweepPeriod, func(ctx context.Context) {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("could not look for jobs that are due", "err", err)
		}
	})
}

// Sweep is one pass of the sweeper, which Run makes once a second: it expires
// the jobs whose time has come and those whose agent is silent. After an
// outage it expires nothing for one offline period, so that agents can check
// in again first.
func (s *Service) Sweep(ctx context.Context) error {
	s.outage.pass()
	s.waker.Wake(s.held.lapsed(s.clock(), s.rules.times.MaxRun)...)
	if s.outage.holding() {
		// Only see whether the database is there: if it is not, the outage
		// goes on.
		if _, err := s.store.Update(ctx, Due(1), leave); err != nil {
			s.outage.begin()
			return err
		}
		return nil
	}
	for _, pass := range []struct {
		sel    Selection
		decide Decide
	}{
		{Due(sweepBatch), s.rules.due},
		{OfSilentAgents(s.rules.times.Offline, sweepBatch), s.rules.silent},
	} {
		for ctx.Err() == nil {
			us, err := s.update(ctx, pass.sel, pass.decide)
			if err != nil {
				s.outage.begin()
				return err
			}
			if len(us) < sweepBatch || !anyChanged(us) {
				break
			}
		}
	}
	return ctx.Err()
}

// leave is the decision to leave a job as it is.
func leave(View) (*Change, error) { return nil, nil }

func anyChanged(us []Updated) bool {
	for _, u := range us {
		if u.Changed {
			return true
		}
	}
	return false
}

// retain removes old jobs, a small batch at a time so that nobody waits long.
func (s *Service) retain(ctx context.Context) {
	every(ctx, retainPeriod, func(ctx context.Context) {
		for ctx.Err() == nil {
			now, err := s.store.Now(ctx)
			if err != nil {
				return
			}
			n, err := s.store.Prune(ctx, now.Add(-s.retention), retainBatch)
			if err != nil {
				if ctx.Err() == nil {
					s.log.Error("could not remove old jobs", "err", err)
				}
				return
			}
			if n < retainBatch {
				return
			}
		}
	})
}

// outageWatch notices when this process cannot tell whether an agent was
// silent or it was deaf itself: after a start, a pause, a clock that was set,
// or a database that was away. It then holds all expiry for one offline
// period.
type outageWatch struct {
	offline   time.Duration
	jump      time.Duration
	wall      chat.Clock
	monotonic func() time.Duration

	mu        sync.Mutex
	holdUntil time.Duration // monotonic
	lastWall  time.Time
	lastMono  time.Duration
}

func newOutageWatch(t Times, wall chat.Clock, monotonic func() time.Duration) *outageWatch {
	w := &outageWatch{offline: t.Offline, jump: t.ClockJump, wall: wall, monotonic: monotonic}
	w.lastWall, w.lastMono = wall().Round(0), monotonic()
	w.holdUntil = w.lastMono + w.offline
	return w
}

// pass compares the clocks with those of the pass before.
func (w *outageWatch) pass() {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Round strips the monotonic reading, so that the difference is the wall
	// clock's.
	wall, mono := w.wall().Round(0), w.monotonic()
	passed := mono - w.lastMono
	if (wall.Sub(w.lastWall)-passed).Abs() > w.jump || passed > sweepPeriod+w.jump {
		w.holdUntil = mono + w.offline
	}
	w.lastWall, w.lastMono = wall, mono
}

// begin holds expiry from now on for one offline period.
func (w *outageWatch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holdUntil = w.monotonic() + w.offline
}

func (w *outageWatch) holding() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.monotonic() < w.holdUntil
}
