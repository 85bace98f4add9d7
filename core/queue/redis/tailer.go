package redis

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/letserverrun/skadi/core/queue"
)

// tailer reads the streams for the live readers of this node, while there are
// any.
type tailer struct {
	q     *Queue
	tails *queue.Tails
	kick  chan struct{}

	mu       sync.Mutex
	running  bool
	position []string // of each partition: the last ID that was read, or need not be
}

func newTailer(q *Queue) *tailer {
	return &tailer{q: q, tails: queue.NewTails(q.cfg.Tail), kick: make(chan struct{}, 1)}
}

// subscribe adds a reader. The first one starts the reading.
func (t *tailer) subscribe(ctx context.Context, space string) (<-chan []queue.Message, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.running {
		position, err := t.now(ctx)
		if err != nil {
			return nil, err
		}
		t.position = position
	}
	c := t.tails.Subscribe(ctx, space)
	if t.running {
		return c, nil
	}
	t.q.mu.Lock()
	defer t.q.mu.Unlock()
	if t.q.closed {
		t.tails.End()
		return nil, queue.ErrClosed
	}
	t.running = true
	t.q.running.Go(t.run)
	return c, nil
}

// now returns where the streams end.
func (t *tailer) now(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	last := make([]*redis.XMessageSliceCmd, t.q.cfg.Partitions)
	if _, err := t.q.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n := range last {
			last[n] = p.XRevRangeN(ctx, tagged(streamPrefix, n), "+", "-", 1)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	position := make([]string, len(last))
	for n, cmd := range last {
		position[n] = noEntry
		if found := cmd.Val(); len(found) > 0 {
			position[n] = found[0].ID
		}
	}
	return position, nil
}

func (t *tailer) news() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// suspect ends the readers: they have to look in the database.
func (t *tailer) suspect() {
	t.tails.End()
	t.news()
}

func (t *tailer) end() { t.tails.End() }

// run reads until there are no readers.
func (t *tailer) run() {
	poll := time.NewTicker(t.q.cfg.Poll)
	defer poll.Stop()
	for {
		more, err := t.read(t.q.ctx)
		if err != nil && t.q.ctx.Err() == nil {
			t.q.log.Warn("redis cannot be read; live readers have to come back", "err", t.q.explain(err))
			t.tails.End()
		}
		t.mu.Lock()
		if t.tails.Len() == 0 || t.q.ctx.Err() != nil {
			t.running = false
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		if more {
			continue
		}
		select {
		case <-t.q.ctx.Done():
		case <-t.kick:
		case <-poll.C:
		}
	}
}

// read hands on what there is, and reports whether there may be more.
func (t *tailer) read(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	t.mu.Lock()
	position := slices.Clone(t.position)
	t.mu.Unlock()
	batch := int64(t.q.cfg.Batch)
	found := make([]*redis.XStreamSliceCmd, len(position))
	_, _ = t.q.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n := range found {
			found[n] = p.XRead(ctx, &redis.XReadArgs{Streams: []string{tagged(streamPrefix, n), position[n]}, Count: batch, Block: -1})
		}
		return nil
	})
	t.mu.Lock() // what is published here meanwhile comes after
	defer t.mu.Unlock()
	var all []queue.Message
	for n, cmd := range found {
		streams, err := cmd.Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, s := range streams {
			for _, x := range s.Messages {
				if !parseID(t.position[n]).less(parseID(x.ID)) {
					continue // it was published here, and told
				}
				t.position[n] = x.ID
				if e, err := decode(x, n); err == nil {
					all = append(all, e.m)
				}
			}
			more = more || int64(len(s.Messages)) == batch
		}
	}
	if len(all) > 0 {
		t.tails.Add(all)
	}
	return more, nil
}
