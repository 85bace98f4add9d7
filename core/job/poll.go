package job

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
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
	}
	return nil
}

// Poll checks the agent in and returns jobs for it, waiting up to r.Wait until
// there is one, or a job to cancel. Errors: *InvalidError, ErrAgentRemoved,
// ErrInstance, or the store's. When ctx ends the answer is empty.
func (s *Service) Poll(ctx context.Context, c Caller, r PollRequest) (PollAnswer, error) {
	if err := r.validate(); err != nil {
		return PollAnswer{}, err
	}
	here, err := s.checkIn(ctx, c, &r)
	if err != nil {
		return PollAnswer{}, err
	}
	defer here.open()()
	overrun := s.stillRunning(ctx, c, r.Running)

	woken, stop := s.waker.Watch(WakeAgent(c.Space, c.Agent))
	defer stop()
	over := time.NewTimer(r.Wait)
	defer over.Stop()
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
			// The wake may have been for the agent's removal.
			if _, err := s.checkIn(ctx, c, nil); errors.Is(err, ErrAgentRemoved) {
				return PollAnswer{}, err
			}
		case <-repeat:
		case <-over.C:
			return PollAnswer{}, s.CheckIn(ctx, c)
		case <-ctx.Done():
			return PollAnswer{}, nil
		}
	}
}

// work returns what there is to do now, and after how long a cancel that was
// told already is to be told again.
func (s *Service) work(ctx context.Context, c Caller, r PollRequest, overrun []Hold) (a PollAnswer, again time.Duration, err error) {
	cancels, err := s.store.Cancels(ctx, c.Space, c.Agent)
	if err != nil {
		return a, 0, err
	}
	a.Cancel, again = s.held.tell(append(cancels, overrun...), s.clock(), s.rules.times.CancelRepeat)
	if r.Max == 0 {
		return a, again, nil
	}
	seed := rand.Text()
	// A claim that was begun is answered even if the poll is over meanwhile.
	us, err := s.update(context.WithoutCancel(ctx), Claimable(c.Space, c.Agent, r.Max), s.rules.send(seed, r.Confirm))
	if err != nil {
		return a, 0, err
	}
	for _, u := range us {
		if u.Changed {
			a.Jobs = append(a.Jobs, u.Job)
		}
	}
	if r.Confirm && len(a.Jobs) > 0 {
		s.held.offered(WakeAgent(c.Space, c.Agent), s.clock().Add(s.rules.times.Offer))
	}
	return a, again, nil
}

// stillRunning takes the agent's word for the jobs that it runs, and returns
// those that ran for too long and are to be stopped.
func (s *Service) stillRunning(ctx context.Context, c Caller, running []Hold) (overrun []Hold) {
	due := s.held.due(running, s.clock(), s.rules.times.Extend)
	if len(due) > 0 {
		leases, ids := leasesOf(due)
		us, err := s.update(ctx, ByID(c.Space, ids...), func(v View) (*Change, error) {
			return s.rules.running(c.Agent, leases[v.Job.ID])(v)
		})
		if err != nil {
			s.log.Warn("could not record which jobs still run", "agent", c.Agent, "err", err)
			return nil
		}
		s.held.learn(us, leases)
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

// Start confirms jobs that were offered: an agent runs nothing before it. One
// answer for each hold, in order: no error also if the same lease started it
// before; ErrLease, ErrFinal or ErrNotFound otherwise.
func (s *Service) Start(ctx context.Context, c Caller, starts []Hold) ([]Updated, error) {
	if err := s.CheckIn(ctx, c); err != nil {
		return nil, err
	}
	leases, ids := leasesOf(starts)
	us, err := s.update(ctx, ByID(c.Space, ids...), func(v View) (*Change, error) {
		return s.rules.start(c.Agent, leases[v.Job.ID])(v)
	})
	if err != nil {
		return nil, err
	}
	return spread(starts, us, ids, func(h Hold) string { return h.ID }), nil
}

// spread answers each item, also those that named a job twice.
func spread[T any](items []T, us []Updated, ids []string, id func(T) string) []Updated {
	if len(items) == len(us) {
		return us
	}
	byID := make(map[string]Updated, len(us))
	for i, u := range us {
		byID[ids[i]] = u
	}
	all := make([]Updated, len(items))
	for i, item := range items {
		all[i] = byID[id(item)]
	}
	return all
}

// Output adds a piece of live output and takes it as a word that the job
// runs. Errors: *GapError, ErrLease, ErrFinal, ErrNotFound, *InvalidError.
func (s *Service) Output(ctx context.Context, c Caller, id, lease string, chunk OutputChunk) error {
	if chunk.Seq < 1 {
		return invalid("seq", "must be 1 or more")
	}
	if err := s.CheckIn(ctx, c); err != nil {
		return err
	}
	u, err := s.store.AppendOutput(ctx, c.Space, id, chunk, s.rules.limits.LiveBytes, s.rules.running(c.Agent, lease))
	if err == nil {
		err = u.Err
	}
	if err != nil {
		return err
	}
	s.waker.Wake(WakeJob(id))
	return nil
}

// Report takes results. One answer for each, in order: no error also for an
// identical repetition; ErrFinal with the job for a late or different one,
// which is kept; ErrLease, ErrConflict, ErrNotFound or *InvalidError otherwise.
func (s *Service) Report(ctx context.Context, c Caller, reports []Report) ([]Updated, error) {
	if err := s.CheckIn(ctx, c); err != nil {
		return nil, err
	}
	byID := make(map[string]Report, len(reports))
	ids := make([]string, 0, len(reports))
	wrong := map[string]error{}
	for _, r := range reports {
		if err := r.validate(); err != nil {
			wrong[r.ID] = err
			continue
		}
		if _, twice := byID[r.ID]; !twice {
			ids = append(ids, r.ID)
		}
		byID[r.ID] = r
	}
	answers := make(map[string]Updated, len(reports))
	for id, err := range wrong {
		answers[id] = Updated{Err: err}
	}
	if len(ids) > 0 {
		us, err := s.update(ctx, ByID(c.Space, ids...), func(v View) (*Change, error) {
			return s.rules.report(c.Agent, byID[v.Job.ID])(v)
		})
		if err != nil {
			return nil, err
		}
		for i, u := range us {
			if u.Err == nil && !u.Job.counted(byID[ids[i]].digest()) {
				u.Err = ErrFinal
			}
			answers[ids[i]] = u
		}
	}
	all := make([]Updated, len(reports))
	for i, r := range reports {
		all[i] = answers[r.ID]
	}
	return all, nil
}

// holds remembers, per node, what agents said of the jobs that they run and
// what they were told, so that neither costs a write or a wake each time.
type holds struct {
	mu     sync.Mutex
	word   map[string]holdWord // by job ID
	offers []offer             // oldest first
}

type holdWord struct {
	lease   string
	at      time.Time // when the agent's word was last taken
	told    time.Time // when a cancel was last told
	overrun bool
}

type offer struct {
	wake  string
	until time.Time
}

// due returns the holds whose word is worth a write again.
func (h *holds) due(running []Hold, now time.Time, period time.Duration) []Hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	var due []Hold
	for _, r := range running {
		w := h.word[r.ID]
		if w.lease != r.Lease {
			w = holdWord{lease: r.Lease}
		}
		if now.Sub(w.at).Abs() >= period {
			due = append(due, r)
			w.at = now
		}
		h.word[r.ID] = w
	}
	return due
}

// learn notes which of the jobs ran for too long.
func (h *holds) learn(us []Updated, leases map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range us {
		w := h.word[u.Job.ID]
		w.overrun = u.Job.Status == Expired && u.Job.Reason == MaxRun && u.Job.Lease == leases[u.Job.ID]
		if u.Job.ID != "" {
			h.word[u.Job.ID] = w
		}
	}
}

func (h *holds) overrun(running []Hold) (over []Hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range running {
		if h.word[r.ID].overrun {
			over = append(over, r)
		}
	}
	return over
}

// tell returns the cancels to tell now, once per lease and then only once in
// each period, and how long until one is to be told again.
func (h *holds) tell(cancels []Hold, now time.Time, period time.Duration) (tell []Hold, again time.Duration) {
	if len(cancels) == 0 {
		return nil, 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range cancels {
		w := h.word[c.ID]
		if w.lease != c.Lease {
			w = holdWord{lease: c.Lease}
		}
		if left := period - now.Sub(w.told); !w.told.IsZero() && left > 0 && left <= period {
			if again == 0 || left < again {
				again = left
			}
			continue
		}
		w.told = now
		h.word[c.ID] = w
		tell = append(tell, c)
	}
	return tell, again
}

// offered remembers to wake the agent when an offer runs out.
func (h *holds) offered(wake string, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.offers); n > 0 && h.offers[n-1].wake == wake && until.Sub(h.offers[n-1].until) < time.Second {
		h.offers[n-1].until = until
		return
	}
	h.offers = append(h.offers, offer{wake: wake, until: until})
}

// lapsed returns whom to wake because an offer ran out, and forgets what is old.
func (h *holds) lapsed(now time.Time, keep time.Duration) (wake []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.offers) > 0 && !now.Before(h.offers[0].until) {
		wake = append(wake, h.offers[0].wake)
		h.offers = h.offers[1:]
	}
	for id, w := range h.word {
		if now.Sub(w.at).Abs() > keep && now.Sub(w.told).Abs() > keep {
			delete(h.word, id)
		}
	}
	return wake
}
