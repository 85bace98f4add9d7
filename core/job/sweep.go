package job

import (
	"context"
	"sync"
	"time"
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
	now, err := s.store.Now(ctx)
	if err != nil {
		s.outage.begin()
		return err
	}
	if ahead := s.outage.pass(now); ahead > 0 {
		if err := s.putOff(ctx, ahead); err != nil {
			s.outage.begin()
			return err
		}
	}
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
	err = s.all(ctx, Due(sweepBatch), s.rules.due)
	if err == nil {
		err = s.all(ctx, OfSilentAgents(s.rules.times.Offline, sweepBatch), s.rules.silent)
	}
	if err != nil {
		s.outage.begin()
	}
	return err
}

// putOff moves the deadlines that a clock that jumped ahead made due, since
// the time between did not pass for anybody.
func (s *Service) putOff(ctx context.Context, ahead time.Duration) error {
	s.log.Warn("the clock jumped ahead; deadlines are put off by as much", "by", ahead)
	return s.all(ctx, Due(sweepBatch), putOff(ahead))
}

// all applies decide to everything selected, a batch at a time.
func (s *Service) all(ctx context.Context, sel Selection, decide Decide) error {
	for {
		us, err := s.update(ctx, sel, decide)
		if err != nil || len(us) < sel.Max || !anyChanged(us) {
			return err
		}
	}
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
	monotonic func() time.Duration

	mu        sync.Mutex
	holdUntil time.Duration // monotonic
	lastWall  time.Time     // the store's clock; zero before the first pass
	lastMono  time.Duration
}

func newOutageWatch(t Times, monotonic func() time.Duration) *outageWatch {
	return &outageWatch{
		offline: t.Offline, jump: t.ClockJump, monotonic: monotonic,
		holdUntil: monotonic() + t.Offline,
	}
}

// pass compares the clocks with those of the pass before, and returns how far
// the wall clock jumped ahead of the monotonic one; 0 if it did not.
func (w *outageWatch) pass(wall time.Time) (ahead time.Duration) {
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
		return 0
	}
	w.holdUntil = mono + w.offline
	if jumped <= w.jump {
		return 0
	}
	return jumped
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
