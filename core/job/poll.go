package job

import (
	"context"
	"crypto/rand"
	"time"
)

// PollRequest asks for work.
type PollRequest struct {
	// Instance names the process that polls; empty if it does not say.
	Instance string
	Wait     time.Duration
	// Max is how many jobs to hand over; 0 only checks in.
	Max int
	// Confirm offers jobs instead of sending them: each must be started.
	Confirm bool
	// Running are the jobs that the agent still runs.
	Running []Hold
	// Commands is what the agent can do; nil leaves what it said before.
	Commands []Command
	Version  string
}

// PollAnswer is what there is to do.
type PollAnswer struct {
	Jobs   []Job
	Cancel []Hold
}

// The bounds of a poll.
const (
	MaxWait    = 55 * time.Second
	MaxPoll    = 1000
	maxRunning = 10_000
	// What an agent says of itself is kept, and read by every help.
	maxCommands    = 1000
	maxVersionSize = 64
	maxCommandSize = 2000
)

func (r PollRequest) validate() error {
	switch {
	case r.Wait < 0 || r.Wait > MaxWait:
		return invalid("wait_seconds", "must be 0 to %d", int(MaxWait.Seconds()))
	case r.Max < 0 || r.Max > MaxPoll:
		return invalid("max", "must be 0 to %d", MaxPoll)
	case len(r.Running) > maxRunning:
		return invalid("running", "has more than %d entries", maxRunning)
	case len(r.Instance) > 64:
		return invalid("instance", "is longer than 64 characters")
	case len(r.Version) > maxVersionSize:
		return invalid("version", "is longer than %d characters", maxVersionSize)
	case len(r.Commands) > maxCommands:
		return invalid("commands", "has more than %d entries", maxCommands)
	}
	for _, c := range r.Commands {
		if len(c.Name)+len(c.Usage)+len(c.Help) > maxCommandSize {
			return invalid("commands", "has an entry of more than %d bytes", maxCommandSize)
		}
	}
	return nil
}

// Poll checks the agent in and returns jobs for it, waiting up to r.Wait until
// there is one, or a job to cancel. Errors: *InvalidError, ErrAgentRemoved,
// ErrInstance, that of c.Check, or the store's. When ctx ends the answer is
// empty.
func (s *Service) Poll(ctx context.Context, c Caller, r PollRequest) (PollAnswer, error) {
	if err := r.validate(); err != nil {
		return PollAnswer{}, err
	}
	here, err := s.checkIn(ctx, c, &r)
	if err != nil {
		return PollAnswer{}, err
	}
	defer here.open()()
	s.polls.Add(1)
	defer s.polls.Add(-1)
	overrun := s.stillRunning(ctx, c, r.Running)

	woken, stop := s.Watch(WakeAgent(c.Space, c.Agent))
	defer stop()
	over := time.NewTimer(r.Wait)
	defer over.Stop()
	if err := c.check(ctx); err != nil {
		return PollAnswer{}, err
	}
	for {
		answer, again, err := s.work(ctx, c, r, overrun)
		if err != nil || len(answer.Jobs) > 0 || len(answer.Cancel) > 0 || r.Wait <= 0 {
			return answer, err
		}
		var repeat <-chan time.Time
		if again > 0 {
			timer := time.NewTimer(again)
			defer timer.Stop() // at most one in CancelRepeat
			repeat = timer.C
		}
		select {
		case <-woken:
		case <-repeat:
		case <-over.C:
			return PollAnswer{}, s.stillWelcome(ctx, c, r.Instance)
		case <-ctx.Done():
			return PollAnswer{}, nil
		}
		if err := s.stillWelcome(ctx, c, r.Instance); err != nil {
			return PollAnswer{}, err
		}
	}
}

// stillWelcome says why a poll that waited may not take jobs any more: the
// agent was removed, its token revoked, or another instance serves it now.
func (s *Service) stillWelcome(ctx context.Context, c Caller, instance string) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	_, err := s.checkIn(ctx, c, &PollRequest{Instance: instance})
	return err
}

// work returns what there is to do now, and after how long a cancel that was
// told already is to be told again.
func (s *Service) work(ctx context.Context, c Caller, r PollRequest, overrun []Hold) (a PollAnswer, again time.Duration, err error) {
	cancels, err := s.store.Cancels(ctx, c.Space, c.Agent)
	if err != nil {
		return a, 0, err
	}
	a.Cancel, again = s.held.tell(append(cancels, overrun...), s.clock(), s.rules().times.CancelRepeat)
	if r.Max == 0 {
		return a, again, nil
	}
	seed := rand.Text()
	// A claim that was begun is answered even if the poll is over meanwhile.
	us, err := s.update(context.WithoutCancel(ctx), Claimable(c.Space, c.Agent, r.Max), s.rules().send(seed, r.Confirm))
	if err != nil {
		return a, 0, err
	}
	if len(us) > 0 {
		a.Jobs = make([]Job, 0, len(us))
	}
	for _, u := range us {
		if u.Changed {
			a.Jobs = append(a.Jobs, u.Job)
		}
	}
	if r.Confirm && len(a.Jobs) > 0 {
		s.held.offered(WakeAgent(c.Space, c.Agent), s.clock().Add(s.rules().times.Offer))
	}
	return a, again, nil
}

// stillRunning takes the agent's word for the jobs that it runs, and returns
// those that ran for too long and are to be stopped.
func (s *Service) stillRunning(ctx context.Context, c Caller, running []Hold) (overrun []Hold) {
	due := s.held.due(running, s.clock(), s.rules().times.Extend)
	if len(due) > 0 {
		leases, ids := leasesOf(due)
		us, err := s.update(ctx, ByID(c.Space, ids...), func(v View) (*Change, error) {
			return s.rules().running(c.Agent, leases[v.Job.ID])(v)
		})
		if err != nil {
			s.log.Warn("could not record which jobs still run", "agent", c.Agent, "err", err)
			s.held.forget(ids)
			return nil
		}
		s.held.learn(ids, us, leases)
	}
	return s.held.overrun(running)
}

func leasesOf(holds []Hold) (leases map[string]string, ids []string) {
	leases = make(map[string]string, len(holds))
	for _, h := range holds {
		if _, twice := leases[h.ID]; !twice {
			ids = append(ids, h.ID)
		}
		leases[h.ID] = h.Lease
	}
	return leases, ids
}
