package events

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/queue"
)

// Group is the consumer group of the repliers.
const Group = "replies"

// Jobs is what the Replier reads of jobs.
type Jobs interface {
	Job(ctx context.Context, space, id string) (job.Job, error)
	JobByCode(ctx context.Context, space, code string) (job.Job, error)
	History(ctx context.Context, space, id string) ([]job.Event, error)
	LiveOutput(ctx context.Context, space, id string, after int64, max int) ([]job.OutputChunk, error)
	Watch(keys ...string) (<-chan struct{}, func())
}

// Senders finds the adapters to send with; Accounts is one.
type Senders interface {
	Adapter(account string) (chat.Adapter, bool)
	Fault(account string, err error)
	Recovered(account string)
}

// ReplierConfig is what a Replier works with. Store, Jobs, Senders and Queue
// are required.
type ReplierConfig struct {
	Store   Store
	Jobs    Jobs
	Senders Senders
	Queue   queue.Consumer
	// QueueUp tells whether the queue brings what happens. It is asked each
	// second, and while it answers with an error, open conversations are
	// searched for in the database as often. nil: the queue always does.
	QueueUp func(ctx context.Context) error

	// Partitions is how many partitions conversations are spread over: the
	// store's number; 0 stands for DefaultPartitions.
	Partitions int
	// Lease is the store's leases with this node as their holder; only who
	// holds a lease replies. An epoch of 0 means that nobody can take a lease
	// from its holder, so that no write needs a guard. nil: this Replier is the
	// only one that works on the database.
	Lease chat.Leaser
	// Shared has each partition served under a lease of its own, so that
	// nodes share the work; else one lease stands for all.
	Shared bool
	// Rank says how many other nodes should rather serve the i-th partition;
	// see node.Registry. nil: none.
	Rank func(i int) int
	// LeaseTTL is how long a lease holds unless it is renewed; 0 stands for
	// 6 s. A node that was killed is replaced after that.
	LeaseTTL time.Duration
	// Local names accounts that are another one in each process, such as its
	// terminal: each process serves what it has itself, without a lease, and
	// leaves the others' alone.
	Local []string

	// Node names this process in the consumer group; empty stands for "local".
	Node string
	// PerAccount is how many conversations of an account are served at once,
	// not counting those that take long; 0 stands for 16. Half as many again
	// are for those that failed last. Neither an account nor a conversation
	// that hangs takes another's place.
	PerAccount int
	// SendTimeout bounds one Send; 0 stands for 30 s.
	SendTimeout time.Duration
	Clock       chat.Clock
	Logger      *slog.Logger
	// Observer is told what happens; nil: nobody is.
	Observer Observer
}

const (
	// leaseTTL is the default of LeaseTTL. A reply may be late by that much
	// after a node was killed; a renewal is due each third of it.
	leaseTTL = 6 * time.Second
	// leaseForAll names the one lease that stands for all partitions.
	leaseForAll = "replies"
	// replyGrace is how long a message on its way may take after Run was
	// stopped, so that it is recorded and not sent again.
	replyGrace = 5 * time.Second
)

// LeaseOf names the lease of a partition where nodes share them.
func LeaseOf(partition int) string { return fmt.Sprintf("%s/%d", leaseForAll, partition) }

// Replier tells the events of conversations by their accounts' adapters: one
// message at a time per conversation, and many conversations at once. Of
// several nodes one at a time serves a partition of conversations.
type Replier struct {
	cfg     ReplierConfig
	log     *slog.Logger
	clock   chat.Clock
	holds   holdTimes
	isLocal map[string]bool

	mu       sync.Mutex
	parts    []*term              // who serves each partition; nil: another node
	local    *term                // of Local accounts; nil when there are none
	kept     map[string]unsettled // by lease
	accounts map[string]*lane
	workers  sync.WaitGroup

	queueDown atomic.Bool
	scanNow   chan struct{} // one signal
	resumeNow chan struct{} // one signal
}

// convID names a conversation.
type convID struct{ account, key string }

// NewReplier returns a Replier; Run makes it work.
func NewReplier(cfg ReplierConfig) *Replier {
	if cfg.Node == "" {
		cfg.Node = "local"
	}
	if cfg.Partitions <= 0 {
		cfg.Partitions = DefaultPartitions
	}
	if cfg.LeaseTTL <= 0 {
		cfg.LeaseTTL = leaseTTL
	}
	if cfg.PerAccount <= 0 {
		cfg.PerAccount = 16
	}
	if cfg.SendTimeout <= 0 {
		cfg.SendTimeout = 30 * time.Second
	}
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Replier{
		cfg: cfg, log: cfg.Logger, clock: cfg.Clock, holds: defaultHolds(),
		isLocal:   make(map[string]bool),
		parts:     make([]*term, cfg.Partitions),
		kept:      make(map[string]unsettled),
		accounts:  make(map[string]*lane),
		scanNow:   make(chan struct{}, 1),
		resumeNow: make(chan struct{}, 1),
	}
	for _, account := range cfg.Local {
		r.isLocal[account] = true
	}
	return r
}

// Run tells events until ctx ends, waits for the messages on their way, gives
// its leases back, and returns nil.
func (r *Replier) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { r.watchQueue(ctx) })
	wg.Go(func() { r.scan(ctx) })
	wg.Go(func() { r.resume(ctx) })
	if len(r.isLocal) > 0 {
		wg.Go(func() { r.serveLocal(ctx) })
	}
	switch {
	case r.cfg.Lease == nil:
		wg.Go(func() { r.serveWhile(ctx, nil, Guard{}) })
	case !r.cfg.Shared:
		wg.Go(func() { r.hold(ctx, leaseForAll, nil, nil) })
	default:
		for p := range r.parts {
			wg.Go(func() { r.hold(ctx, LeaseOf(p), []int{p}, r.rank(p)) })
		}
	}
	wg.Wait()
	r.workers.Wait()
	return nil
}

// hold serves the partitions whenever this node has the lease.
func (r *Replier) hold(ctx context.Context, lease string, partitions []int, rank func() int) {
	duty := node.NewDuty(node.DutyConfig{
		Lease: r.cfg.Lease, Name: lease, TTL: r.cfg.LeaseTTL, Rank: rank, Logger: r.log,
	})
	_ = duty.Run(ctx, func(ctx context.Context, epoch int64) error { // always nil
		guard := Guard{}
		if epoch != 0 {
			guard = Guard{Lease: lease, Epoch: epoch}
		}
		r.serveWhile(ctx, partitions, guard)
		return nil
	})
}

func (r *Replier) rank(p int) func() int {
	if r.cfg.Rank == nil {
		return nil
	}
	return func() int { return r.cfg.Rank(p) }
}

// Serving returns the partitions that this node serves now.
func (r *Replier) Serving() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []int
	for p, t := range r.parts {
		if t != nil {
			all = append(all, p)
		}
	}
	return all
}

// Pending reports whether this node has something to tell now, parked
// conversations aside.
func (r *Replier) Pending(ctx context.Context) (bool, error) {
	partitions, any := r.serving()
	if !any {
		return false, nil
	}
	open, err := r.cfg.Store.OpenConversations(ctx, partitions, scanPage)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range open {
		id := convID{c.Account, c.Key}
		if r.termOf(id) != nil && !r.foreign(id) {
			return true, nil
		}
	}
	return false, nil
}

// foreign reports whether another process has the conversation's account to
// itself.
func (r *Replier) foreign(id convID) bool {
	if !r.isLocal[id.account] {
		return false
	}
	_, ok := r.cfg.Senders.Adapter(id.account)
	return !ok
}

// Handle takes from the queue which conversations have something to tell.
func (r *Replier) Handle(_ context.Context, batch []queue.Message) error {
	var last convID
	for _, m := range batch {
		if m.Conversation == nil {
			continue
		}
		id := convID{m.Conversation.Account, m.Conversation.Key}
		if id == last {
			continue
		}
		last = id
		r.touch(id, 0)
	}
	return nil
}

// Lost makes the Replier search the outbox.
func (r *Replier) Lost(context.Context) { signal(r.scanNow) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
