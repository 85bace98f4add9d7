package redis

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/letserverrun/skadi/core/queue"
)

// task is what the pump does for one partition in one exchange with Redis. It
// is a copy, made under the lock.
type task struct {
	p        *part
	consumer string
	fresh    bool
	claim    bool
	read     bool
	skip     string
	acks     []string
	dead     []deadEntry

	moved *redis.StatusCmd // past skip
	lost  *redis.StringCmd
	added *redis.XStreamSliceCmd
}

// pump talks to Redis for all partitions of the group until the queue is
// closed: it acknowledges, reads, takes over, and writes dead letters.
func (g *group) pump() {
	ctx := g.q.ctx
	poll := time.NewTicker(g.q.cfg.Poll)
	defer poll.Stop()
	claim := time.NewTicker(g.q.cfg.ClaimIdle / 2)
	defer claim.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.kick:
		case <-poll.C:
			g.news(nil)
		case <-claim.C:
			g.claimTime()
		}
		err := g.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			if failures == 1 {
				g.log.Warn("redis cannot be read; events are told from the database meanwhile", "err", g.q.explain(err))
				g.away()
			}
			sleep(ctx, backoff(failures, 50*time.Millisecond, time.Second))
			g.look()
		case failures > 0:
			failures = 0
			g.log.Info("redis is read again")
			// Whatever happened to it, the database has it all.
			g.suspect("redis was away")
		}
	}
}

// claimTime makes the next pass look for what dead consumers left.
func (g *group) claimTime() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.parts {
		p.claim = true
	}
}

// away tells those who wait for their partitions to be set up that it takes
// longer, so that they begin with the database.
func (g *group) away() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.consumers {
		g.lose(c)
	}
}

// tasks returns what there is to do.
func (g *group) tasks() (tasks []*task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for n, p := range g.parts {
		c := g.reader(n)
		if c == nil {
			continue
		}
		t := &task{
			p: p, consumer: c.name, fresh: p.fresh, claim: p.claim,
			read: p.news && !p.full(g.q.cfg.Batch), skip: p.skip, acks: p.acks, dead: p.dead,
		}
		if t.fresh || t.claim || t.read || len(t.acks) > 0 || len(t.dead) > 0 {
			tasks = append(tasks, t)
		}
		if t.read {
			p.news = false // what comes from now on is news again
		}
	}
	return tasks
}

// pass does what there is to do.
func (g *group) pass(ctx context.Context) error {
	select {
	case g.io <- struct{}{}:
		defer func() { <-g.io }()
	case <-ctx.Done():
		return ctx.Err()
	}
	tasks := g.tasks()
	if len(tasks) == 0 {
		return nil
	}
	var failed error // the first one; the others are mostly the same
	ready := make([]*task, 0, len(tasks))
	for _, t := range tasks {
		if err := g.prepare(ctx, t); err != nil {
			failed = cmp.Or(failed, err)
			g.again(t)
			continue
		}
		ready = append(ready, t)
	}
	if len(ready) > 0 {
		failed = cmp.Or(failed, g.exchange(ctx, ready))
	}
	return failed
}

// again makes a later pass read what this one could not.
func (g *group) again(t *task) {
	if t.read {
		g.mu.Lock()
		t.p.news = true
		g.mu.Unlock()
	}
}

// prepare does what is rare: a partition that is new here, what others left,
// and dead letters.
func (g *group) prepare(ctx context.Context, t *task) error {
	if t.fresh {
		if err := g.setUp(ctx, t); err != nil {
			return err
		}
	}
	if t.claim {
		if err := g.takeOver(ctx, t, g.q.cfg.ClaimIdle); err != nil && !redis.HasErrorPrefix(err, "NOGROUP") {
			return err
		}
		g.mu.Lock()
		t.p.claim = false
		g.mu.Unlock()
	}
	if len(t.dead) > 0 {
		if err := g.bury(ctx, t.p, t.dead); err != nil {
			return err
		}
		g.mu.Lock()
		t.p.dead = rest(t.p.dead, len(t.dead))
		g.offer(t.p)
		g.mu.Unlock()
	}
	return nil
}

// exchange acknowledges and reads, for all partitions together.
func (g *group) exchange(ctx context.Context, tasks []*task) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	acked := make([]*redis.IntCmd, len(tasks))
	_, _ = g.q.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, t := range tasks {
			if len(t.acks) > 0 {
				acked[i] = p.XAck(ctx, t.p.key, g.name, t.acks...)
			}
			if t.read {
				if t.skip != "" {
					t.moved = p.XGroupSetID(ctx, t.p.key, g.name, t.skip)
				}
				t.lost = p.HGet(ctx, tagged(lostPrefix, t.p.n), g.name)
				t.added = p.XReadGroup(ctx, &redis.XReadGroupArgs{
					Group: g.name, Consumer: t.consumer, Streams: []string{t.p.key, ">"},
					Count: int64(g.q.cfg.Batch), Block: -1,
				})
			}
		}
		return nil
	})
	var failed error
	for i, t := range tasks {
		if acked[i] != nil {
			if err := acked[i].Err(); err != nil {
				failed = cmp.Or(failed, err)
			} else {
				g.mu.Lock()
				t.p.acks = rest(t.p.acks, len(t.acks))
				g.mu.Unlock()
			}
		}
		if t.read {
			if err := g.receive(ctx, t); err != nil {
				failed = cmp.Or(failed, err)
				g.again(t)
			}
		}
	}
	return failed
}

// receive takes what was read.
func (g *group) receive(ctx context.Context, t *task) error {
	if t.moved != nil {
		g.mu.Lock()
		t.p.skipped(t.skip, t.moved.Err())
		g.mu.Unlock()
	}
	if err := t.lost.Err(); err == nil {
		// Removed before it is told: what is dropped afterwards marks it anew.
		if err := g.q.client.HDel(ctx, tagged(lostPrefix, t.p.n), g.name).Err(); err != nil {
			return err
		}
		g.log.Warn("events were dropped unread; reading from the database instead", "partition", t.p.n)
		g.mu.Lock()
		g.losePartition(t.p.n)
		g.mu.Unlock()
	} else if !errors.Is(err, redis.Nil) {
		return err
	}
	streams, err := t.added.Result()
	switch {
	case errors.Is(err, redis.Nil):
		streams = nil
	case redis.HasErrorPrefix(err, "NOGROUP"):
		g.log.Warn("redis lost the consumer group; making it anew and reading from the database", "partition", t.p.n)
		g.mu.Lock()
		t.p.fresh, g.made, g.replaced = true, false, true
		t.p.position, t.p.skip = "", ""
		g.mu.Unlock()
		g.look()
		return nil
	case err != nil:
		return err
	}
	n := 0
	for _, s := range streams {
		n += len(s.Messages)
		g.accept(t.p, s.Messages)
		g.mu.Lock()
		t.p.readTo(s.Messages[len(s.Messages)-1].ID)
		g.mu.Unlock()
	}
	if n == g.q.cfg.Batch {
		g.again(t)
		g.look()
	}
	return nil
}

// rest removes the first n, and lets go of their memory with the last.
func rest[T any](s []T, n int) []T {
	if n == len(s) {
		return nil
	}
	return s[n:]
}

// accept gives messages that were read to the consumers. What none of them wants
// is acknowledged at once.
func (g *group) accept(p *part, read []redis.XMessage) {
	entries := make([]entry, 0, len(read))
	var bad []deadEntry
	for _, x := range read {
		e, err := decode(x, p.n)
		if err != nil {
			g.log.Error("an entry of the stream cannot be read; giving up", "entry", x.ID, "stream", p.key, "err", err)
			bad = append(bad, deadEntry{e, err.Error()})
			continue
		}
		entries = append(entries, e)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.dropped {
		// Its consumer left while Redis did not answer: nobody here may say that
		// these were handled. Whoever is next takes them over.
		return
	}
	for i := range entries {
		if g.wanted(p.n, []queue.Message{entries[i].m}) {
			p.entries = append(p.entries, entries[i])
			continue
		}
		p.acks = append(p.acks, entries[i].id)
		g.ackSoon()
	}
	p.dead = append(p.dead, bad...)
	g.offer(p)
	if len(bad) > 0 {
		g.look()
	}
}

// leftover is what is still to be written of a partition that was given away. It
// is a copy, made under the lock: the pump may be at that partition yet.
type leftover struct {
	p    *part
	acks []string
	dead []deadEntry
}

// flush acknowledges what was handled of partitions that were given away.
func (g *group) flush(ctx context.Context, left []leftover) {
	_, err := g.q.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, l := range left {
			if len(l.acks) > 0 {
				p.XAck(ctx, l.p.key, g.name, l.acks...)
			}
		}
		return nil
	})
	if err != nil {
		g.log.Debug("what was handled could not be acknowledged; it may come again", "err", err)
	}
	for _, l := range left {
		if len(l.dead) > 0 {
			if err := g.bury(ctx, l.p, l.dead); err != nil {
				g.log.Debug("a dead letter could not be written; it is tried again", "err", err)
			}
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
