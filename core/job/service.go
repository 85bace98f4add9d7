package job

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// Waker carries wakes to whoever waits for a key. A wake may be lost or come
// twice; a waiter watches first, then checks, and checks again when woken.
type Waker interface {
	// Wake signals everybody who watches one of the keys. It never blocks.
	Wake(keys ...string)
	// Watch returns a channel that has room for one signal, and a function
	// that ends the watch.
	Watch(keys ...string) (c <-chan struct{}, stop func())
}

// WakeEvents is woken when there are new events in the outbox.
const WakeEvents = "events"

// What the keys of agents and jobs begin with.
const (
	agentKey = "agent:"
	jobKey   = "job:"
)

// WakeAgent is woken when there may be something for the agent to do.
func WakeAgent(space, name string) string { return agentKey + space + "/" + name }

// WakeJob is woken when the job changed or has new output.
func WakeJob(id string) string { return jobKey + id }

// Config is what a Service works with. Store and Waker are required.
type Config struct {
	Store Store
	// Waker carries wakes between all nodes, or within this process if no
	// other works on the database. One that is a LocalWaker too is asked for
	// less.
	Waker Waker
	// Shared says that other nodes work on the database too. Their wakes may
	// be lost, so this node asks the database once a second for all who wait
	// here.
	Shared bool
	// Lease is the store's leases with this node as their holder: only who
	// holds `sweep` expires jobs, and only who holds `retention` removes old
	// ones. nil: this node does both.
	Lease  chat.Leaser
	Times  Times
	Limits Limits
	// Alerts says who is told when an agent goes offline and comes back, and
	// when two processes serve one; nil: nobody.
	Alerts Alerts
	// Retention is how long a final job is kept; 0 keeps it for ever.
	Retention time.Duration
	Clock     chat.Clock
	// Monotonic is time since any fixed moment, which no clock setting moves.
	Monotonic func() time.Duration
	Logger    *slog.Logger
	// Observer is told what happened; nil: nobody is.
	Observer Observer
}

// Service moves jobs along their lives. Its methods may be called
// concurrently, by any number of nodes on one store.
//
// What is kept in memory is this node's own and costs nothing but work done
// again when it is lost, or when an agent goes to another node: which agents
// poll here and when that was last written, what agents said of running jobs
// and which cancels they were told, which offers run out, and how long expiry
// is held. What counts is in the store.
type Service struct {
	store    Store
	waker    Waker
	lookout  *lookout // nil: no other node works on the store
	lease    chat.Leaser
	holding  atomic.Pointer[settings]
	alerts   Alerts
	clock    chat.Clock
	log      *slog.Logger
	observer Observer // nil: nobody is told

	presence *presence
	polls    atomic.Int64 // open ones
	held     *holds
	outage   *outageWatch
	// looked is when the sweeper, who alone knows these two, last looked for
	// outages, and complained when it last logged that they cannot be told.
	looked, complained time.Time
}

// New returns a service. It does nothing of its own accord until Run.
func New(c Config) *Service {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Monotonic == nil {
		start := time.Now()
		c.Monotonic = func() time.Duration { return time.Since(start) }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	times := c.Times.withDefaults()
	s := &Service{
		store:    c.Store,
		waker:    c.Waker,
		lease:    c.Lease,
		alerts:   c.Alerts,
		clock:    c.Clock,
		log:      c.Logger,
		observer: c.Observer,
		presence: &presence{agents: map[string]*present{}},
		held:     &holds{word: map[string]holdWord{}},
		outage:   newOutageWatch(times, c.Monotonic),
	}
	s.holding.Store(newSettings(times, c.Limits, c.Retention))
	if c.Shared {
		s.lookout = newLookout(c.Store, c.Waker)
	}
	return s
}

// Times returns the times that hold.
func (s *Service) Times() Times { return s.rules().times }

// Limits returns the limits that hold.
func (s *Service) Limits() Limits { return s.rules().limits }

// Now is the clock that deadlines use.
func (s *Service) Now(ctx context.Context) (time.Time, error) { return s.store.Now(ctx) }

// Online reports whether the agent checked in within the offline period.
func (s *Service) Online(a Agent, now time.Time) bool { return s.rules().online(&a, now) }

// Watch returns a channel that is signaled when one of the keys is woken, by
// whichever node, and a function that ends the watch. A wake that was lost on
// its way from another node is made up for within about a second, while Run
// runs, but for WakeEvents.
func (s *Service) Watch(keys ...string) (<-chan struct{}, func()) {
	woken, stop := s.waker.Watch(keys...)
	if s.lookout == nil {
		return woken, stop
	}
	end := s.lookout.begin(keys)
	return woken, func() { end(); stop() }
}

// Job returns a job of the space with its whole result, or ErrNotFound.
func (s *Service) Job(ctx context.Context, space, id string) (Job, error) {
	return s.store.Job(ctx, space, id)
}

// JobByCode returns a job by its code as a person types it, or ErrNotFound.
func (s *Service) JobByCode(ctx context.Context, space, code string) (Job, error) {
	num, ok := ParseCode(code)
	if !ok {
		return Job{}, ErrNotFound
	}
	return s.store.JobByNum(ctx, space, num)
}

// Jobs lists jobs, newest first, without their outputs.
func (s *Service) Jobs(ctx context.Context, f Filter) ([]Job, error) { return s.store.Jobs(ctx, f) }

// History returns the events of a job by version.
func (s *Service) History(ctx context.Context, space, id string) ([]Event, error) {
	return s.store.History(ctx, space, id)
}

// LiveOutput returns up to max chunks of output after a sequence number.
func (s *Service) LiveOutput(ctx context.Context, space, id string, after int64, max int) ([]OutputChunk, error) {
	return s.store.Output(ctx, space, id, after, max)
}

// Counts returns how many jobs have each status that is not final.
func (s *Service) Counts(ctx context.Context) (map[Status]int64, error) { return s.store.Counts(ctx) }

// Wait returns the job once it is final, or as it stands when d is over or
// ctx ends. It answers at once if the job is final already.
func (s *Service) Wait(ctx context.Context, space, id string, d time.Duration) (Job, error) {
	woken, stop := s.Watch(WakeJob(id))
	defer stop()
	over := time.NewTimer(d)
	defer over.Stop()
	for {
		j, err := s.store.Job(ctx, space, id)
		if err != nil || j.Status.Final() || d <= 0 {
			return j, err
		}
		select {
		case <-woken:
		case <-over.C:
			d = 0
		case <-ctx.Done():
			return j, nil
		}
	}
}

// Cancel asks for a job to be canceled. A queuing job is canceled at once; a
// sent one is canceled by its agent, which is told. ErrFinal comes with the
// job as it stands.
func (s *Service) Cancel(ctx context.Context, space, id, by string) (Job, error) {
	return s.one(ctx, ByID(space, id), s.rules().cancel(by))
}

// Approve grants or denies a job that waits for approval. Whether by may do
// so is for the caller to check.
func (s *Service) Approve(ctx context.Context, space, id, by string, grant bool) (Job, error) {
	sel := ByID(space, id)
	sel.WithAgent = true
	return s.one(ctx, sel, s.rules().approve(by, grant, s.outage.holding()))
}

// one updates a single job and wakes whom it concerns.
func (s *Service) one(ctx context.Context, sel Selection, decide Decide) (Job, error) {
	us, err := s.update(ctx, sel, decide)
	if err != nil {
		return Job{}, err
	}
	return us[0].Job, us[0].Err
}

// update is Store.Update, and wakes whom the changes concern.
func (s *Service) update(ctx context.Context, sel Selection, decide Decide) ([]Updated, error) {
	var m moves
	if s.observer != nil {
		decide = m.watch(decide)
	}
	us, err := s.store.Update(ctx, sel, decide)
	if err != nil {
		return nil, err
	}
	s.wakeChanged(us)
	if s.observer != nil {
		m.tell(ctx, s.observer, us)
	}
	return us, nil
}

func (s *Service) wakeChanged(us []Updated) {
	keys := make([]string, 0, 2*len(us)+1)
	for _, u := range us {
		if !u.Changed {
			continue
		}
		keys = append(keys, WakeJob(u.Job.ID))
		// An agent is told of a cancel, and of a job that was approved.
		takeable := u.Job.Status == Queuing && u.Job.OfferedUntil.IsZero()
		if agent := WakeAgent(u.Job.Space, u.Job.Agent); (takeable || !u.Job.CancelRequestedAt.IsZero()) && !slices.Contains(keys, agent) {
			keys = append(keys, agent)
		}
	}
	if len(keys) > 0 {
		s.waker.Wake(append(keys, WakeEvents)...)
	}
}

// Polls returns how many polls of agents wait at this node.
func (s *Service) Polls() int { return int(s.polls.Load()) }

// Run keeps the service's own time: it expires jobs, keeps agents with an
// open poll present, removes old jobs, and looks for what other nodes did. It
// returns when ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { s.sweep(ctx) })
	all.Go(func() { s.keepPresent(ctx) })
	all.Go(func() { s.retain(ctx) })
	if s.lease != nil {
		all.Go(func() { s.observe(ctx) }) // who sweeps does so anyway
	}
	if s.lookout != nil {
		all.Go(func() { s.lookOut(ctx) })
	} else {
		all.Go(func() { s.lookBack(ctx) })
	}
	all.Wait()
	return nil
}

// every calls f now and then each period until ctx ends.
func every(ctx context.Context, period time.Duration, f func(context.Context)) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		f(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
