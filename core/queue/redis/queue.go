package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/letserverrun/skadi/core/queue"
)

// opTimeout bounds one exchange with Redis.
const opTimeout = 3 * time.Second

// Queue is the queue on Redis. Its methods may be called concurrently.
type Queue struct {
	cfg    Config
	log    *slog.Logger
	client redis.UniversalClient
	bus    *bus
	tailer *tailer
	trim   *trimmer
	stats  stats

	ctx     context.Context //nolint:containedctx // ends at Close, for what runs behind the methods
	cancel  context.CancelFunc
	running sync.WaitGroup
	checked atomic.Bool // Redis answered, and is one that can be used

	mu     sync.Mutex
	closed bool
	groups map[string]*group

	servers servers
}

var _ queue.Consumer = (*Queue)(nil)

// Open connects to Redis. A Redis that is away is no error: the queue is used
// once it is there, and Ping says so meanwhile. What does not heal by waiting
// is one: a wrong password, a user without the rights, a Redis that is too
// old, an address of the wrong kind, Sentinels that do not know the master.
func Open(ctx context.Context, cfg Config) (*Queue, error) {
	cfg.setDefaults()
	if len(cfg.Addrs) == 0 {
		return nil, errors.New("queue.addrs is empty: name Redis as [host:6379]")
	}
	if cfg.Node == "" {
		return nil, errors.New("the queue needs a name for this node")
	}
	quiet()
	q := &Queue{cfg: cfg, log: cfg.Logger, groups: make(map[string]*group)}
	q.ctx, q.cancel = context.WithCancel(context.WithoutCancel(ctx))
	q.client = q.newClient()
	q.bus = newBus(q)
	q.tailer = newTailer(q)
	q.trim = newTrimmer(q)
	switch err := q.check(ctx); {
	case err == nil:
	case isUnfit(err):
		q.cancel()
		return nil, errors.Join(err, q.client.Close())
	default:
		q.log.Warn("redis is not there yet; events are told from the database meanwhile", "err", err)
	}
	q.running.Go(q.bus.publish)
	q.running.Go(q.bus.listen)
	q.running.Go(q.trim.run)
	return q, nil
}

// Ping reports whether Redis can be used, and if not, why.
func (q *Queue) Ping(ctx context.Context) error {
	if q.isClosed() {
		return queue.ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if !q.checked.Load() {
		return q.check(ctx)
	}
	// A stream's key asks the right node of a Cluster, and a write finds a
	// replica and a lack of memory, which PING does not.
	err := q.client.HDel(ctx, checkKey, "ping").Err()
	if err == nil {
		return nil
	}
	return q.explain(err)
}

// Publish adds messages to their streams, each partition's in their order and
// all of them or none. On error some partitions may have them; publishing them
// again does no harm but that they come twice.
func (q *Queue) Publish(ctx context.Context, messages []queue.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.isClosed() {
		return queue.ErrClosed
	}
	if len(messages) == 0 {
		return nil
	}
	for _, m := range messages {
		if m.Partition < 0 || m.Partition >= q.cfg.Partitions {
			return fmt.Errorf("event %s is of partition %d, and there are %d", m.ID, m.Partition, q.cfg.Partitions)
		}
	}
	at, err := q.add(ctx, messages)
	// What some partitions have is there, though others failed.
	q.arrived(at, messages)
	if err != nil {
		q.stats.publishErrors.Add(1)
		return q.explain(err)
	}
	q.stats.published.Add(int64(len(messages)))
	touched := q.touched(messages)
	q.trim.touch(touched)
	q.bus.news(touched)
	return nil
}

// add writes to the streams. A transaction keeps the order: without it, a
// message could fail (no memory, a replica for a moment) and the next one not.
func (q *Queue) add(ctx context.Context, messages []queue.Message) (map[int]*landed, error) {
	if !q.cfg.Cluster {
		return q.addTogether(ctx, messages)
	}
	byPartition := make(map[int][]queue.Message)
	for _, m := range messages {
		byPartition[m.Partition] = append(byPartition[m.Partition], m)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error // the same reason many times is no more telling
	all := make(map[int]*landed, len(byPartition))
	for _, part := range byPartition {
		wg.Go(func() {
			at, err := q.addTogether(ctx, part)
			mu.Lock()
			defer mu.Unlock()
			failed = cmp.Or(failed, err)
			maps.Copy(all, at)
		})
	}
	wg.Wait()
	return all, failed
}

// whyAborted returns the error that a transaction was given up for, where
// Redis names it.
func whyAborted(cmds []redis.Cmder, err error) error {
	if !redis.HasErrorPrefix(err, "EXECABORT") {
		return err
	}
	for _, cmd := range cmds {
		if why := cmd.Err(); why != nil && !redis.HasErrorPrefix(why, "EXECABORT") {
			return why
		}
	}
	return err
}

// touched returns the partitions of messages.
func (q *Queue) touched(messages []queue.Message) partitionSet {
	set := make(partitionSet, q.cfg.Partitions)
	for _, m := range messages {
		set[m.Partition] = true
	}
	return set
}

// partitionSet has an element for each partition.
type partitionSet []bool

// news tells the readers of this node what has new messages; nil is all.
func (q *Queue) news(set partitionSet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.groups {
		g.news(set)
	}
	q.tailer.news()
}

// suspect makes everybody look in the database: messages may be lost.
func (q *Queue) suspect(why string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.groups {
		g.suspect(why)
	}
	q.tailer.suspect()
}

// Subscribe returns a live tail of the messages of a space, from now on: all
// that there are at a time, oldest first. The channel is closed when ctx ends,
// when the queue is closed, when Redis was away or replaced, and when the
// reader falls too far behind: it then has to subscribe again, and to read
// from the database what it missed. A node reads each stream once for all
// its subscribers.
func (q *Queue) Subscribe(ctx context.Context, space string) (<-chan []queue.Message, error) {
	if q.isClosed() {
		return nil, queue.ErrClosed
	}
	c, err := q.tailer.subscribe(ctx, space)
	if err != nil {
		return nil, q.explain(err)
	}
	return c, nil
}

// Close ends every Consume and every subscription, and waits for what runs
// behind them. It may be called more than once.
func (q *Queue) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	groups := q.groups
	q.mu.Unlock()
	for _, g := range groups {
		g.stopTimers()
	}
	q.cancel()
	q.tailer.end()
	q.running.Wait()
	return q.client.Close()
}

func (q *Queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
