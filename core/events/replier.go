package events

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
)

// Group is the consumer group of the repliers.
const Group = "replies"

// Jobs is what the Replier reads of jobs.
type Jobs interface {
	Job(ctx context.Context, space, id string) (job.Job, error)
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
	// Node names this process in the consumer group; empty stands for "local".
	Node string
	// PerAccount is how many conversations of an account are served at once;
	// 0 stands for 16. One account that hangs takes no other's place.
	PerAccount int
	// SendTimeout bounds one Send; 0 stands for 30 s.
	SendTimeout time.Duration
	Clock       chat.Clock
	Logger      *slog.Logger
}

const (
	// scanEvery is how often the outbox is searched for open conversations
	// that nobody told of, and scanSoon how soon again after a full page.
	scanEvery = 5 * time.Second
	scanSoon  = 500 * time.Millisecond
	scanPage  = 1000
	// replyGrace is how long a message on its way may take after Run was
	// stopped, so that it is recorded and not sent again.
	replyGrace = 5 * time.Second
	// shownPage bounds the running jobs whose messages a new node updates.
	shownPage = 10_000
)

// Replier tells the events of conversations by their accounts' adapters: one
// message at a time per conversation, and many conversations at once. One
// Replier at a time works on a database.
type Replier struct {
	cfg   ReplierConfig
	log   *slog.Logger
	clock chat.Clock
	holds holdTimes

	mu       sync.Mutex
	convs    map[convID]*conversation
	accounts map[string]*lane
	workers  sync.WaitGroup
	// spawn starts a worker with Run's context; nil before Run and after.
	spawn func(work func(ctx context.Context))

	scanNow chan struct{} // one signal
}

// convID names a conversation.
type convID struct{ account, key string }

// NewReplier returns a Replier; Run makes it work.
func NewReplier(cfg ReplierConfig) *Replier {
	if cfg.Node == "" {
		cfg.Node = "local"
	}
	if cfg.PerAccount <= 0 {
		cfg.PerAccount = 16
	}
	if cfg.SendTimeout <= 0 {
		cfg.SendTimeout = 30 * time.Second
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Replier{
		cfg: cfg, log: cfg.Logger, clock: cfg.Clock, holds: defaultHolds(),
		convs:    make(map[convID]*conversation),
		accounts: make(map[string]*lane),
		scanNow:  make(chan struct{}, 1),
	}
}

// Run tells events until ctx ends, waits for the messages on their way, and
// returns nil.
func (r *Replier) Run(ctx context.Context) error {
	r.mu.Lock()
	r.spawn = func(work func(context.Context)) {
		r.workers.Go(func() { work(ctx) })
	}
	r.mu.Unlock()

	var wg sync.WaitGroup
	wg.Go(func() { r.consume(ctx) })
	wg.Go(func() { r.scan(ctx) })
	wg.Go(func() { r.resumeLive(ctx) })
	wg.Wait()

	r.mu.Lock()
	r.spawn = nil
	for _, c := range r.convs {
		c.stopTimer()
	}
	r.mu.Unlock()
	r.workers.Wait()
	return nil
}

// consume keeps a consumer in the queue's group.
func (r *Replier) consume(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.cfg.Queue.Consume(ctx, Group, r.cfg.Node, nil, r)
		if ctx.Err() != nil || errors.Is(err, queue.ErrClosed) {
			return
		}
		r.log.Warn("the queue cannot be read; conversations are found in the database meanwhile", "err", err)
		sleep(ctx, scanEvery)
	}
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
func (r *Replier) Lost(context.Context) {
	select {
	case r.scanNow <- struct{}{}:
	default:
	}
}

// scan searches the outbox for open conversations, at the start, when the
// queue lost something, and every few seconds.
func (r *Replier) scan(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.scanNow:
		}
		found, err := r.cfg.Store.OpenConversations(ctx, nil, scanPage)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.log.Warn("open conversations could not be read; trying again", "err", err)
		}
		for _, c := range found {
			r.touch(convID{c.Account, c.Key}, c.Tries)
		}
		if len(found) >= scanPage {
			timer.Reset(scanSoon)
		} else {
			timer.Reset(scanEvery)
		}
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
