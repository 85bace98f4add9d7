package events

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/letserverrun/skadi/core/job"
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
	Batch  int
	Logger *slog.Logger
}

const (
	// relayPace is the shortest time between two passes that are not full. It
	// lets a busy outbox fill, so that one write marks many events.
	relayPace = 10 * time.Millisecond
	// relayEvery is how often the outbox is read though nobody called.
	relayEvery = time.Second
	// relayMaxBackoff bounds the wait after a failed pass.
	relayMaxBackoff = 10 * time.Second
	// relayGrace is how long a pass may take to its end after Run was stopped.
	relayGrace = 5 * time.Second
)

// Relay takes events from the outbox to the queue, each at least once and a
// job's events in order. One Relay at a time works on a database.
type Relay struct {
	cfg RelayConfig
}

// NewRelay returns a Relay; Run makes it work.
func NewRelay(cfg RelayConfig) *Relay {
	if cfg.Partitions <= 0 {
		cfg.Partitions = DefaultPartitions
	}
	if cfg.Batch <= 0 {
		cfg.Batch = 1000
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Relay{cfg: cfg}
}

// Run relays until ctx ends, and then returns nil. A database or a queue that
// fails is tried again with backoff.
func (r *Relay) Run(ctx context.Context) error {
	woken, stop := r.cfg.Waker.Watch(job.WakeEvents)
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		n, err := r.Pass(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			failures++
			wait := min(100*time.Millisecond<<min(failures, 10), relayMaxBackoff)
			r.cfg.Logger.Warn("events could not be relayed; trying again", "err", err, "in", wait)
			timer.Reset(wait)
			continue
		case n >= r.cfg.Batch:
			timer.Reset(0)
		case n > 0:
			timer.Reset(relayPace)
		default:
			timer.Reset(relayEvery)
			select {
			case <-ctx.Done():
				return nil
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
	if err := r.cfg.Queue.Publish(ctx, messages); err != nil {
		return 0, fmt.Errorf("publishing events: %w", err)
	}
	// What was published is marked even when the node is stopping, so that
	// the next one does not publish it again.
	ctx, cancel := outlive(ctx, relayGrace)
	defer cancel()
	if err := r.cfg.Outbox.MarkPublished(ctx, events); err != nil {
		return 0, fmt.Errorf("marking events published: %w", err)
	}
	return len(events), nil
}

// outlive returns a context that ends the given time after ctx does.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(grace, cancel)
		context.AfterFunc(longer, func() { t.Stop() })
	})
	return longer, func() {
		stop()
		cancel()
	}
}
