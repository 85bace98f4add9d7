package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/letserverrun/skadi/agentd/agent/journal"
	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	// stopTimeout is how long handlers may take to return after they were
	// canceled because the agent stops.
	stopTimeout = 15 * time.Second
	// reportTimeout is how long a stopping agent tries to report what is
	// left; the rest is reported at the next start.
	reportTimeout = 10 * time.Second
	// maxBacklog is how many unreported results may gather before the agent
	// takes no more jobs.
	maxBacklog = 1000
	// restAfter is how long the agent takes no jobs after its journal could
	// not be written.
	restAfter = 10 * time.Second
	// startWorkers and reportWorkers are how many batches are on their way
	// at once.
	startWorkers  = 4
	reportWorkers = 2
)

// Causes of the end of a job's context.
var (
	errCanceled = errors.New("the job was canceled")
	errStopping = errors.New("the agent stops")
)

// Run takes and runs jobs until ctx ends. Then it takes no more, lets running
// ones go on for the drain timeout, cancels what still runs, reports what
// there is to report, and returns nil. What it could not report it reports
// when it is run again with the same state folder.
//
// It returns an error when the state folder is in use or cannot be used,
// ErrRemoved when the server has removed the agent, and ErrRunning when it is
// running already. Nothing else ends it: while the server cannot be reached,
// or refuses the token, it keeps trying.
func (a *Agent) Run(ctx context.Context) error {
	if !a.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer a.running.Store(false)
	unlock, err := journal.Lock(a.cfg.StateDir)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	defer unlock()
	instance, err := instanceID(a.cfg.StateDir)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	j, entries, err := journal.Open(a.cfg.StateDir, a.log)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	defer a.client.CloseIdle()

	s := newSession(ctx, a, j, instance)
	s.resume(entries)
	err = s.run(ctx)
	if cerr := j.Close(); err == nil && cerr != nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}

// session is one Run of an agent.
type session struct {
	*Agent
	journal  *journal.Journal
	instance string

	// taking ends when no more jobs are to be taken, all when everything is
	// to end; both outlive the context of Run.
	taking, all         context.Context
	stopTaking, stopAll context.CancelCauseFunc

	starts  *queue[offer]
	reports *queue[*held]

	mu sync.Mutex
	// held are the jobs that the server has confirmed to this agent and that
	// are not closed yet.
	held map[agentapi.Hold]*held
	// inUse counts the places taken: offered jobs and running ones.
	inUse int
	// backlog counts the results that are not reported.
	backlog int
	// ending says that running jobs were canceled because the agent stops,
	// ended that no goroutine is to be begun any more.
	ending, ended bool
	// restUntil is when jobs are taken again after the journal failed.
	restUntil time.Time
	// senders are the goroutines that send live output.
	senders sync.WaitGroup
	// changed is signaled when a place is free or the agent stops.
	changed chan struct{}
	// idle is signaled when inUse or backlog has gone down.
	idle chan struct{}
}

// held is a job in the agent's hands.
type held struct {
	hold   agentapi.Hold
	job    agentapi.Assignment
	since  time.Time
	cancel context.CancelCauseFunc // nil unless it runs
	// report is set once there is a result.
	report *agentapi.Report
	// shrunk counts how often the report was made smaller because the
	// server did not take it.
	shrunk int
}

func newSession(ctx context.Context, a *Agent, j *journal.Journal, instance string) *session {
	s := &session{
		Agent: a, journal: j, instance: instance,
		starts: newQueue[offer](), reports: newQueue[*held](), held: map[agentapi.Hold]*held{},
		changed: make(chan struct{}, 1), idle: make(chan struct{}, 1),
	}
	s.all, s.stopAll = context.WithCancelCause(context.WithoutCancel(ctx))
	s.taking, s.stopTaking = context.WithCancelCause(s.all)
	return s
}

// resume takes up what an earlier process left: offers are started unless the
// server has given them to somebody else, what was started and has no result
// was interrupted, and results are reported.
func (s *session) resume(entries []journal.Entry) {
	for _, e := range entries {
		h := &held{hold: e.Hold(), job: e.Job, since: time.Now()}
		switch {
		case e.State == journal.Finished:
			h.report = e.Report
		case e.State == journal.Intended && !e.Doubtful:
			s.inUse++
			s.starts.add(offer{job: e.Job, journaled: true})
			continue
		default:
			h.report = &agentapi.Report{Lease: e.Job.Lease, Status: statusFailed, Reason: reasonInterrupted}
			s.log.Warn("a job was interrupted when the agent ended; it is reported as failed", "job", e.Job.ID, "code", e.Job.Code)
			if err := s.journal.Finished(h.hold, *h.report); err != nil {
				s.log.Error("could not write the journal", "job", e.Job.ID, "err", err)
			}
		}
		s.held[h.hold] = h
		s.backlog++
		s.reports.add(h)
	}
}

// run starts the loops and stops them in order.
func (s *session) run(ctx context.Context) error {
	var loops sync.WaitGroup
	for range startWorkers {
		loops.Go(s.startLoop)
	}
	for range reportWorkers {
		loops.Go(s.reportLoop)
	}
	loops.Go(s.pollLoop)

	var err error
	select {
	case <-ctx.Done():
	case <-s.taking.Done():
		err = context.Cause(s.taking) //nolint:contextcheck // a context of the session, which outlives ctx
	case <-s.journal.Broken():
		// The journal may miss what happened, so that it would run again.
		err = s.journal.Err()
	}
	s.stopTaking(errStopping)
	s.drain()
	s.stopAll(errStopping)
	loops.Wait()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.senders.Wait()
	if n := s.left(); n > 0 && err == nil {
		s.log.Warn("not everything could be reported; the rest is reported at the next start", "jobs", n)
	}
	return err
}

// drain waits for the running jobs and their reports, each for a while.
func (s *session) drain() {
	if n := s.left(); n > 0 {
		s.log.Info("stopping: no more jobs are taken", "jobs", n, "drain_timeout", max(s.cfg.DrainTimeout, 0))
	}
	if !s.waitUntil(func() bool { return s.inUse == 0 }, s.cfg.DrainTimeout) {
		s.mu.Lock()
		s.ending = true
		for _, h := range s.held {
			if h.cancel != nil {
				h.cancel(errStopping)
			}
		}
		s.mu.Unlock()
		if !s.waitUntil(func() bool { return s.inUse == 0 }, stopTimeout) {
			s.log.Error("handlers did not return when they were canceled; their jobs count as interrupted", "jobs", s.left())
		}
	}
	s.waitUntil(func() bool { return s.backlog == 0 }, reportTimeout)
}

// waitUntil waits for a condition on what mu guards, and reports whether it
// came true in time.
func (s *session) waitUntil(done func() bool, d time.Duration) bool {
	timeout := time.NewTimer(max(d, 0))
	defer timeout.Stop()
	for {
		s.mu.Lock()
		ok := done()
		s.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-s.idle:
		case <-timeout.C:
			return false
		}
	}
}

// spawn runs f, unless the session has ended.
func (s *session) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.senders.Go(f)
	}
}

// left counts the jobs that are neither done nor reported.
func (s *session) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inUse + s.backlog
}

// release gives back places.
func (s *session) release(n int) {
	s.mu.Lock()
	s.inUse -= n
	s.mu.Unlock()
	signal(s.changed)
	signal(s.idle)
}

// close ends entries that the server knows the result of, or does not want.
func (s *session) close(hs ...*held) {
	holds := make([]agentapi.Hold, len(hs))
	s.mu.Lock()
	for i, h := range hs {
		holds[i] = h.hold
		delete(s.held, h.hold)
		s.backlog--
	}
	s.mu.Unlock()
	s.journal.Forget(holds...)
	signal(s.changed)
	signal(s.idle)
}

// crash is where tests let the process die.
func (s *session) crash(point string) {
	if s.step != nil {
		s.step(point)
	}
}
