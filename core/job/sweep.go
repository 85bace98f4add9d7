package job

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/node"
)

const (
	sweepPeriod  = time.Second
	sweepBatch   = 200
	retainPeriod = time.Minute
	retainBatch  = 200
)

// The leases of what one node does for all.
const (
	leaseSweep     = "sweep"
	leaseRetention = "retention"
)

// observe watches the database and its clock, once a second. Every node does
// so, since each also decides whether an agent is offline.
func (s *Service) observe(ctx context.Context) {
	every(ctx, sweepPeriod, func(ctx context.Context) {
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.log.Debug("could not ask the database for the time", "err", err)
		}
	})
}

// look is one pass of observe, and the first step of the sweeper's.
func (s *Service) look(ctx context.Context) error {
	if wake := s.held.lapsed(s.clock(), s.rules().times.MaxRun); len(wake) > 0 {
		s.waker.Wake(wake...)
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		s.outage.begin()
		return err
	}
	s.outage.pass(now)
	return nil
}

// sweep expires what is due, once a second, on the node whose duty it is. It
// does no harm if more than one does, as every change is guarded; one is
// enough.
func (s *Service) sweep(ctx context.Context) {
	s.onDuty(ctx, leaseSweep, func(ctx context.Context) {
		// Whoever did it before may have been away for any time, and the agents
		// that polled there have to find another node.
		s.outage.tookOver()
		every(ctx, sweepPeriod, func(ctx context.Context) {
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("could not look for jobs that are due", "err", err)
			}
		})
	})
}

// onDuty does work while this node holds the lease, until ctx ends; a node
// without leases is alone and does it all the time.
func (s *Service) onDuty(ctx context.Context, name string, work func(ctx context.Context)) {
	if s.lease == nil {
		work(ctx)
		return
	}
	duty := node.NewDuty(node.DutyConfig{Lease: s.lease, Name: name, Logger: s.log})
	_ = duty.Run(ctx, func(ctx context.Context, _ int64) error { // always nil
		work(ctx)
		return nil
	})
}

// Sweep is one pass of the sweeper, which Run makes once a second: it expires
// the jobs whose time has come and those whose agent is silent. After an
// outage it expires nothing for one offline period, so that agents can check
// in again first.
func (s *Service) Sweep(ctx context.Context) (err error) {
	if s.observer != nil {
		begin := s.clock()
		defer func() { s.observer.Swept(s.clock().Sub(begin), err) }()
	}
	// First, so that a clock that jumped is noticed before anything expires
	// by it.
	if err := s.look(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.outage.begin()
		}
	}()
	if ahead := s.outage.jumped(); ahead > 0 {
		if err := s.putOff(ctx, ahead); err != nil {
			return err
		}
		s.outage.evened(ahead)
	}
	if s.outage.holdingSweep() {
		// Only see whether the database is there: if it is not, the outage
		// goes on.
		_, err := s.store.Update(ctx, Due(1), leave)
		return err
	}
	if err := s.all(ctx, Due(sweepBatch), s.rules().due); err != nil {
		return err
	}
	if err := s.all(ctx, OfSilentAgents(s.rules().times.Offline, sweepBatch), s.rules().silent); err != nil {
		return err
	}
	return s.tellOutages(ctx)
}

// putOff moves the deadlines that a clock that jumped ahead made due, since
// the time between did not pass for anybody. Only what is due is moved, so that
// it does no harm if another node did so before.
func (s *Service) putOff(ctx context.Context, ahead time.Duration) error {
	s.log.Warn("the clock jumped ahead; deadlines are put off by as much", "by", ahead)
	return s.all(ctx, Due(sweepBatch), putOff(ahead))
}

// all applies decide to everything selected, a batch at a time.
func (s *Service) all(ctx context.Context, sel Selection, decide Decide) error {
	for {
		us, err := s.update(ctx, sel, decide)
		if err != nil || len(us) < sel.Max || !anyChanged(us) || ctx.Err() != nil {
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

// retain removes old jobs, on the node whose duty it is.
func (s *Service) retain(ctx context.Context) {
	s.onDuty(ctx, leaseRetention, func(ctx context.Context) { every(ctx, retainPeriod, s.prune) })
}

// prune removes what is old, a small batch at a time so that nobody waits long.
func (s *Service) prune(ctx context.Context) {
	for ctx.Err() == nil {
		retention := s.holding.Load().retention
		if retention <= 0 {
			return
		}
		now, err := s.store.Now(ctx)
		if err != nil {
			return
		}
		n, err := s.store.Prune(ctx, now.Add(-retention), retainBatch)
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
}
