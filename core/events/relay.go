package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/queue"
)

// Outbox is the part of the Store that the Relay reads.
type Outbox interface {
	Unpublished(ctx context.Context, max int) ([]job.Event, error)
	MarkPublished(ctx context.Context, events []job.Event) error
}

// Publisher is the part of a queue that takes messages.
type Publisher interface {
	Publish(ctx context.Context, messages []queue.Message) error
}

// Watcher tells of changes. See job.Waker.
type Watcher interface {
	Watch(keys ...string) (c <-chan struct{}, stop func())
}

// RelayConfig is what a Relay works with. Outbox, Queue and Waker are required.
type RelayConfig struct {
	Outbox Outbox
	Queue  Publisher
	Waker  Watcher
	// Partitions is how many partitions the queue has; 0 stands for
	// DefaultPartitions. It must be the same on every node.
	Partitions int
	// Batch is the most events published at once; 0 stands for 1,000.
	Batch int
	// Lease is the store's leases with this node as their holder; only who
	// holds the lease `relay` relays. nil: this Relay is the only one that
	// works on the database.
	Lease chat.Leaser
	// LeaseTTL is how long the lease holds unless it is renewed; 0 stands for
	// 6 s. A node that was killed is replaced after that.
	LeaseTTL time.Duration
	Logger   *slog.Logger
}

const (
	// relayPace is the shortest time between two passes. It lets a busy outbox
	// fill, so that one write marks many events, and it leaves the database
	// and the queue time for others after an outage.
	relayPace = 10 * time.Millisecond
	// relayEvery is how often the outbox is read though nobody called.
	relayEvery = time.Second
	// relayMaxBackoff bounds the wait after a failed pass.
	relayMaxBackoff = 10 * time.Second
	// relayGrace is how long a pass may take to its end after Run was stopped.
	relayGrace = 5 * time.Second
	// leaseForRelay names the lease of the one that relays.
	leaseForRelay = "relay"
)

// ErrNotRelaying is returned by a Relay that is not the one that relays, or
// that cannot.
var ErrNotRelaying = errors.New("this process takes no events to the queue now")

// Relay takes events from the outbox to the queue, each at least once and a
// job's events in order. Of several nodes one at a time relays; should two do
// so for a moment, messages repeat and none is lost.
type Relay struct {
	cfg RelayConfig
	// relays says that passes are made and succeed.
	relays atomic.Bool
}

// NewRelay returns a Relay; Run makes it work.
func NewRelay(cfg RelayConfig) *Relay {
	if cfg.Partitions <= 0 {
		cfg.Partitions = DefaultPartitions
	}
	if cfg.LeaseTTL <= 0 {
		cfg.LeaseTTL = leaseTTL
	}
	if cfg.Batch <= 0 {
		cfg.Batch = 1000
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Relay{cfg: cfg}
}

// Run relays, whenever it is this node's turn, until ctx ends, and then returns
// nil. A database or a queue that fails is tried again with backoff.
func (r *Relay) Run(ctx context.Context) error {
	if r.cfg.Lease == nil {
		r.relay(ctx)
		return nil
	}
	duty := node.NewDuty(node.DutyConfig{
		Lease: r.cfg.Lease, Name: leaseForRelay, TTL: r.cfg.LeaseTTL, Logger: r.cfg.Logger,
	})
	return duty.Run(ctx, func(ctx context.Context, _ int64) error {
		r.relay(ctx)
		return nil
	})
}

// Up reports whether this Relay feeds the queue, and ErrNotRelaying if not. It
// is a ReplierConfig.QueueUp for a queue that only this process fills.
func (r *Relay) Up(context.Context) error {
	if !r.relays.Load() {
		return ErrNotRelaying
	}
	return nil
}

// relay relays until ctx ends.
func (r *Relay) relay(ctx context.Context) {
	woken, stop := r.cfg.Waker.Watch(job.WakeEvents)
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer r.relays.Store(false)
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		n, err := r.Pass(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.relays.Store(false)
			failures++
			wait := min(100*time.Millisecond<<min(failures, 10), relayMaxBackoff)
			r.cfg.Logger.Warn("events could not be relayed; trying again", "err", err, "in", wait)
			timer.Reset(wait)
			continue
		case n > 0:
			r.relays.Store(true)
			timer.Reset(relayPace)
		default:
			r.relays.Store(true)
			timer.Reset(relayEvery)
			select {
			case <-ctx.Done():
				return
			case <-woken:
				timer.Reset(0)
			case <-timer.C:
				timer.Reset(0)
			}
		}
		if failures > 0 {
			r.cfg.Logger.Info("events are relayed again")
			failures = 0
		}
	}
}

// Pass relays one batch and returns how many events it had.
func (r *Relay) Pass(ctx context.Context) (int, error) {
	events, err := r.cfg.Outbox.Unpublished(ctx, r.cfg.Batch)
	if err != nil {
		return 0, fmt.Errorf("reading the outbox: %w", err)
	}
	if len(events) == 0 {
		return 0, nil
	}
	messages := make([]queue.Message, 0, len(events))
	for _, e := range events {
		m, err := message(e, r.cfg.Partitions)
		if err != nil {
			return 0, fmt.Errorf("encoding event %s: %w", e.ID(), err)
		}
		messages = append(messages, m)
	}
	// A node that was stopped for long may find that another relays.
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := r.cfg.Queue.Publish(ctx, messages); err != nil {
		return 0, fmt.Errorf("publishing events: %w", err)
	}
	// What was published is marked even when the node is stopping, so that
	// the next one does not publish it again.
	ctx, cancel := outlive(ctx, func() time.Duration { return relayGrace })
	defer cancel()
	if err := r.cfg.Outbox.MarkPublished(ctx, events); err != nil {
		return 0, fmt.Errorf("marking events published: %w", err)
	}
	return len(events), nil
}

// outlive returns a context that ends a time after ctx does; grace says then
// which.
func outlive(ctx context.Context, grace func() time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(grace(), cancel)
		context.AfterFunc(longer, func() { t.Stop() })
	})
	return longer, func() {
		stop()
		cancel()
	}
}
