package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Defaults of EmbeddedConfig.
const (
	DefaultBacklog    = 50_000
	DefaultBatch      = 256
	DefaultTries      = 10
	DefaultTail       = 8_192
	DefaultMinBackoff = 200 * time.Millisecond
	DefaultMaxBackoff = 30 * time.Second

	// deadLettersKept bounds the dead letters of one group.
	deadLettersKept = 1_000
)

// EmbeddedConfig says how an Embedded queue behaves. Zero values stand for
// the defaults.
type EmbeddedConfig struct {
	// Backlog is how many messages a group may have waiting. What exceeds it
	// is dropped, all of it, and the group is told by Lost.
	Backlog int
	// Batch is the most messages that Handle gets at once.
	Batch int
	// Tries is how often a message is handled before it is a dead letter.
	Tries int
	// Tail is how many messages a subscriber may lag behind before its
	// channel is closed.
	Tail int
	// MinBackoff and MaxBackoff bound the time between two tries, which
	// doubles.
	MinBackoff, MaxBackoff time.Duration
	Logger                 *slog.Logger
}

// Embedded is the queue inside one process. It keeps nothing on disk: a group
// begins with Lost, and reads from the database what was before.
type Embedded struct {
	cfg EmbeddedConfig

	mu     sync.Mutex
	closed chan struct{}
	groups map[string]*group
	tails  *Tails
}

// NewEmbedded makes an Embedded with the defaults.
func NewEmbedded() *Embedded { return NewEmbeddedWith(EmbeddedConfig{}) }

// NewEmbeddedWith makes an Embedded as cfg says.
func NewEmbeddedWith(cfg EmbeddedConfig) *Embedded {
	setDefault(&cfg.Backlog, DefaultBacklog)
	setDefault(&cfg.Batch, DefaultBatch)
	setDefault(&cfg.Tries, DefaultTries)
	setDefault(&cfg.Tail, DefaultTail)
	setDefault(&cfg.MinBackoff, DefaultMinBackoff)
	setDefault(&cfg.MaxBackoff, DefaultMaxBackoff)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Embedded{
		cfg:    cfg,
		closed: make(chan struct{}),
		groups: make(map[string]*group),
		tails:  NewTails(cfg.Tail),
	}
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Publish hands the messages to every group and every subscriber. It does not
// block and keeps no more than the bounds of the config.
func (q *Embedded) Publish(ctx context.Context, messages []Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isClosed() {
		return ErrClosed
	}
	for _, g := range q.groups {
		g.add(messages)
	}
	q.tails.Add(messages)
	return nil
}

// Subscribe returns a live tail of the messages of a space, from now on: all
// that there are at a time, oldest first. The channel is closed when ctx ends,
// when the queue is closed, and when the reader falls too far behind: it then
// has to subscribe again, and to read from the database what it missed.
func (q *Embedded) Subscribe(ctx context.Context, space string) (<-chan []Message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isClosed() {
		return nil, ErrClosed
	}
	return q.tails.Subscribe(ctx, space), nil
}

// Consume hands the group's messages to h until ctx ends, and then returns
// nil. It reads the partitions that are named, all of them if partitions is
// nil. A group exists from its first Consume on and gets every message from
// then on; those of a partition that nobody consumes wait. Consumers that name
// the same partitions share them; one at a time handles a partition.
func (q *Embedded) Consume(ctx context.Context, name, consumer string, partitions []int, h Handler) error {
	q.mu.Lock()
	if q.isClosed() {
		q.mu.Unlock()
		return ErrClosed
	}
	g := q.groups[name]
	if g == nil {
		g = newGroup(name, q)
		q.groups[name] = g
	}
	c := g.join(partitions, WantsOf(h))
	q.mu.Unlock()
	defer g.leave(c)

	log := q.cfg.Logger.With("group", name, "consumer", consumer)
	h = Recovering(h, log)
	h.Lost(ctx)
	return g.consume(ctx, c, h, log)
}

// DeadLetters returns up to max messages that the group gave up, newest
// first. They are kept in memory only, and the last thousand of them.
func (q *Embedded) DeadLetters(_ context.Context, name string, max int) ([]DeadLetter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.groups[name]
	if g == nil {
		return nil, nil
	}
	n := min(max, len(g.dead))
	letters := make([]DeadLetter, 0, n)
	for i := range n {
		letters = append(letters, g.dead[len(g.dead)-1-i])
	}
	return letters, nil
}

// Backlog returns how many messages wait for the group.
func (q *Embedded) Backlog(name string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if g := q.groups[name]; g != nil {
		return g.backlog
	}
	return 0
}

// Close ends every Consume and closes every subscriber's channel. What waits
// is dropped. It may be called more than once.
func (q *Embedded) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isClosed() {
		return nil
	}
	close(q.closed)
	for _, g := range q.groups {
		g.stopTimers()
	}
	q.tails.End()
	return nil
}

// isClosed is called with q.mu held.
func (q *Embedded) isClosed() bool {
	select {
	case <-q.closed:
		return true
	default:
		return false
	}
}
