package queue

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// group is a consumer group of an Embedded queue. Its fields are guarded by
// the queue's lock.
type group struct {
	name string
	q    *Embedded

	parts     map[int]*partition
	ready     []*partition // have messages, and nobody handles them
	backlog   int          // messages in parts, those being handled included
	consumers map[*consumer]struct{}
	dead      []DeadLetter // oldest first
}

// consumer is one Consume of a group.
type consumer struct {
	partitions []int // nil for all
	takes      func(Message) bool
	lost       bool          // Lost is due
	wake       chan struct{} // one signal: look again
}

func (c *consumer) wants(partition int) bool {
	return c.partitions == nil || slices.Contains(c.partitions, partition)
}

func (c *consumer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

type partition struct {
	n        int
	messages []Message
	busy     bool        // a consumer handles the head
	tries    int         // failures of the head
	timer    *time.Timer // makes it ready after a failure; nil otherwise
	queued   bool        // stands in group.ready
	dropped  bool        // by an overflow; nothing is done with it any more
}

func newGroup(name string, q *Embedded) *group {
	return &group{name: name, q: q, parts: make(map[int]*partition), consumers: make(map[*consumer]struct{})}
}

// add is called with the queue's lock held.
func (g *group) add(messages []Message) {
	if len(g.consumers) > 0 {
		messages = g.wanted(messages)
	}
	if g.backlog+len(messages) > g.q.cfg.Backlog {
		g.overflow()
		return
	}
	g.backlog += len(messages)
	for _, m := range messages {
		p := g.parts[m.Partition]
		if p == nil {
			p = &partition{n: m.Partition}
			g.parts[m.Partition] = p
		}
		p.messages = append(p.messages, m)
		g.offer(p)
	}
}

// wanted returns the messages but those that all who consume their partition
// have no use for.
func (g *group) wanted(messages []Message) []Message {
	wanted := make([]Message, 0, len(messages))
	for _, m := range messages {
		read, takes := false, false
		for c := range g.consumers {
			if c.wants(m.Partition) {
				read, takes = true, takes || c.takes(m)
			}
		}
		if takes || !read {
			wanted = append(wanted, m)
		}
	}
	return wanted
}

// overflow drops what waits, the new messages too: the database has it all,
// and reading it there in one go is cheaper than keeping it here.
func (g *group) overflow() {
	for _, p := range g.parts {
		p.dropped = true
	}
	g.stopTimers()
	// Consumers that handle a batch hold on to its partition object; fresh
	// ones take their place. Order across the loss does not matter, since
	// whoever is told of it reads the database.
	g.parts = make(map[int]*partition)
	g.ready = nil
	g.backlog = 0
	for c := range g.consumers {
		c.lost = true
		c.signal()
	}
}

// offer makes a partition available to the consumers if it can be.
func (g *group) offer(p *partition) {
	if p.busy || p.queued || p.dropped || p.timer != nil || len(p.messages) == 0 {
		return
	}
	p.queued = true
	g.ready = append(g.ready, p)
	for c := range g.consumers {
		if c.wants(p.n) {
			c.signal()
		}
	}
}

// join adds a consumer, which finds what is ready for it.
func (g *group) join(partitions []int, takes func(Message) bool) *consumer {
	c := &consumer{partitions: slices.Clone(partitions), takes: takes, wake: make(chan struct{}, 1)}
	g.consumers[c] = struct{}{}
	c.signal()
	return c
}

// leave removes a consumer. Others may have left to it what is ready.
func (g *group) leave(c *consumer) {
	g.q.mu.Lock()
	defer g.q.mu.Unlock()
	delete(g.consumers, c)
	for other := range g.consumers {
		other.signal()
	}
}

// consume is one consumer's loop.
func (g *group) consume(ctx context.Context, c *consumer, h Handler, log *slog.Logger) error {
	for {
		p, batch, lost := g.take(c)
		switch {
		case lost:
			log.Warn("the queue's backlog overflowed; reading from the database instead", "limit", g.q.cfg.Backlog)
			h.Lost(ctx)
		case p != nil:
			g.settle(ctx, p, batch, h.Handle(ctx, batch), log)
		default:
			select {
			case <-ctx.Done():
				return nil
			case <-g.q.closed:
				return nil
			case <-c.wake:
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// take returns the next thing to do: a loss to tell, or a batch of a partition.
func (g *group) take(c *consumer) (p *partition, batch []Message, lost bool) {
	g.q.mu.Lock()
	defer g.q.mu.Unlock()
	if c.lost {
		c.lost = false
		return nil, nil, true
	}
	i := slices.IndexFunc(g.ready, func(p *partition) bool { return c.wants(p.n) })
	if i < 0 {
		return nil, nil, false
	}
	p = g.ready[i]
	g.ready = slices.Delete(g.ready, i, i+1)
	p.queued, p.busy = false, true
	n := min(len(p.messages), g.q.cfg.Batch)
	if p.tries > 0 {
		n = 1 // find out which one fails
	}
	return p, slices.Clone(p.messages[:n]), false
}

// settle removes a batch that was handled, or plans its next try.
func (g *group) settle(ctx context.Context, p *partition, batch []Message, err error, log *slog.Logger) {
	g.q.mu.Lock()
	defer g.q.mu.Unlock()
	p.busy = false
	if p.dropped {
		return
	}
	switch {
	case err == nil:
		p.tries = 0
		g.remove(p, len(batch))
	case ctx.Err() != nil:
		// The consumer ends; its batch is for the next one.
	default:
		p.tries++
		if p.tries < g.q.cfg.Tries {
			log.Warn("an event could not be handled; trying again", "event", batch[0].ID, "try", p.tries, "err", err)
			g.retryLater(p)
			return
		}
		log.Error("an event could not be handled; giving up", "event", batch[0].ID, "tries", p.tries, "err", err)
		g.bury(batch[0], err)
		p.tries = 0
		g.remove(p, 1)
	}
	g.offer(p)
}

func (g *group) remove(p *partition, n int) {
	g.backlog -= n
	rest := p.messages[n:]
	if len(rest) == 0 {
		p.messages = nil
		return
	}
	p.messages = rest
}

func (g *group) retryLater(p *partition) {
	if g.q.isClosed() {
		return
	}
	wait := min(g.q.cfg.MinBackoff<<min(p.tries-1, 20), g.q.cfg.MaxBackoff)
	p.timer = time.AfterFunc(wait, func() {
		g.q.mu.Lock()
		defer g.q.mu.Unlock()
		p.timer = nil
		g.offer(p)
	})
}

func (g *group) bury(m Message, err error) {
	g.dead = append(g.dead, DeadLetter{Group: g.name, Message: m, Reason: err.Error(), At: time.Now()})
	if over := len(g.dead) - deadLettersKept; over > 0 {
		g.dead = slices.Delete(g.dead, 0, over)
	}
}

func (g *group) stopTimers() {
	for _, p := range g.parts {
		if p.timer != nil {
			p.timer.Stop()
		}
	}
}
