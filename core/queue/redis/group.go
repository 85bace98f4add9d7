package redis

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/queue"
)

// ackDelay is how long acknowledgements wait for company.
const ackDelay = 20 * time.Millisecond

// group is a consumer group on this node. Consumers handle what its pump, one
// goroutine, reads for all of them together.
type group struct {
	q    *Queue
	name string
	log  *slog.Logger
	kick chan struct{} // one signal for the pump: look at the partitions

	// io is held while the pump talks to Redis, and by a consumer that leaves.
	io chan struct{}

	mu        sync.Mutex
	parts     map[int]*part
	ready     []*part // have entries, and nobody handles them
	consumers map[*consumer]struct{}
	ackTimer  bool
	made      bool // the group exists at every partition
	replaced  bool // it did before: it begins with the streams' beginnings
	stopped   bool
}

// part is what this node has of a partition for a group.
type part struct {
	n       int
	key     string
	entries []entry // read, and not settled
	busy    bool    // a consumer handles the head
	queued  bool    // stands in group.ready
	dropped bool    // nobody here wants it any more
	tries   int     // failures of the head
	timer   *time.Timer

	// position is the last entry that was read, or need not be, and skip how
	// far the group is to be moved without reading; both "" if not known.
	position, skip string

	fresh bool // the group has to be made, and what others left to be taken over
	news  bool // there may be something to read
	claim bool // it is time to look for what dead consumers left
	acks  []string
	dead  []deadEntry
}

type deadEntry struct {
	entry
	reason string
}

// consumer is one Consume.
type consumer struct {
	name       string
	partitions []int
	takes      func(m queue.Message) bool
	lost       bool
	wake       chan struct{}
}

func (c *consumer) wants(n int) bool { return slices.Contains(c.partitions, n) }

func (c *consumer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Consume hands the group's messages to h until ctx ends or the queue is
// closed, and then returns nil. See queue.Consumer. The group is made at its
// first Consume and gets every message from then on. Lost is called once that
// is so, and at once too if Redis is away.
func (q *Queue) Consume(ctx context.Context, name, consumerName string, partitions []int, h queue.Handler) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return queue.ErrClosed
	}
	g := q.groups[name]
	if g == nil {
		g = &group{
			q: q, name: name, log: q.log.With("group", name),
			kick: make(chan struct{}, 1), io: make(chan struct{}, 1),
			parts: make(map[int]*part), consumers: make(map[*consumer]struct{}),
		}
		q.groups[name] = g
		q.running.Go(g.pump)
	}
	q.running.Add(1) // Close waits for the consumer's last acknowledgements
	q.mu.Unlock()
	defer q.running.Done()

	if partitions == nil {
		for n := range q.cfg.Partitions {
			partitions = append(partitions, n)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(q.ctx, cancel)() //nolint:contextcheck // it ends with the queue too
	c := g.join(consumerName, partitions, queue.WantsOf(h))
	defer g.leave(ctx, c)
	log := g.log.With("consumer", consumerName)
	return g.consume(ctx, c, queue.Recovering(h, log), log)
}

// join adds a consumer. It is told of Lost once its partitions are set up.
func (g *group) join(name string, partitions []int, takes func(queue.Message) bool) *consumer {
	c := &consumer{name: name, partitions: slices.Clone(partitions), takes: takes, wake: make(chan struct{}, 1)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.consumers[c] = struct{}{}
	waits := false
	for _, n := range partitions {
		p := g.parts[n]
		if p == nil {
			p = &part{n: n, key: tagged(streamPrefix, n), fresh: true, news: true}
			g.parts[n] = p
		}
		waits = waits || p.fresh
	}
	c.lost = !waits
	c.signal()
	g.look()
	return c
}

// leave removes a consumer, and writes what it acknowledged, so that whoever
// is next does not get it again.
func (g *group) leave(ctx context.Context, c *consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opTimeout/3)
	defer cancel()
	select {
	case g.io <- struct{}{}: // what the pump reads at the moment belongs to this node
		defer func() { <-g.io }()
	case <-ctx.Done():
	}
	g.mu.Lock()
	delete(g.consumers, c)
	var left []leftover
	for _, n := range c.partitions {
		p := g.parts[n]
		if p != nil && g.reader(n) == nil {
			p.dropped = true
			if p.timer != nil {
				p.timer.Stop()
			}
			delete(g.parts, n)
			left = append(left, leftover{p: p, acks: p.acks, dead: p.dead})
		}
	}
	g.ready = slices.DeleteFunc(g.ready, func(p *part) bool { return p.dropped })
	for other := range g.consumers {
		other.signal()
	}
	g.mu.Unlock()
	g.flush(ctx, left)
}

// reader returns a consumer of the partition. It is called with g.mu held.
func (g *group) reader(n int) *consumer {
	for c := range g.consumers {
		if c.wants(n) {
			return c
		}
	}
	return nil
}

// look makes the pump look again.
func (g *group) look() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// news marks the partitions that have new messages; nil is all.
func (g *group) news(set partitionSet) {
	g.mu.Lock()
	defer g.mu.Unlock()
	found := false
	for n, p := range g.parts {
		if set == nil || n < len(set) && set[n] {
			p.news, found = true, true
		}
	}
	if found {
		g.look()
	}
}

// suspect tells every consumer that messages may be lost.
func (g *group) suspect(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.consumers) == 0 {
		return
	}
	g.log.Info("events may have been lost in redis; reading from the database", "why", why)
	for c := range g.consumers {
		g.lose(c)
	}
}

// lose is called with g.mu held.
func (g *group) lose(c *consumer) {
	g.q.stats.lost.Add(1)
	c.lost = true
	c.signal()
}

// losePartition tells the partition's consumers. It is called with g.mu held.
func (g *group) losePartition(n int) {
	for c := range g.consumers {
		if c.wants(n) {
			g.lose(c)
		}
	}
}

// consume is one consumer's loop.
func (g *group) consume(ctx context.Context, c *consumer, h queue.Handler, log *slog.Logger) error {
	for {
		p, batch, lost := g.take(c)
		switch {
		case lost:
			h.Lost(ctx)
		case p != nil:
			g.settle(ctx, p, batch, h.Handle(ctx, messages(batch)), log)
		default:
			select {
			case <-ctx.Done():
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
func (g *group) take(c *consumer) (p *part, batch []entry, lost bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.lost {
		c.lost = false
		return nil, nil, true
	}
	i := slices.IndexFunc(g.ready, func(p *part) bool { return c.wants(p.n) })
	if i < 0 {
		return nil, nil, false
	}
	p = g.ready[i]
	g.ready = slices.Delete(g.ready, i, i+1)
	p.queued, p.busy = false, true
	n := min(len(p.entries), g.q.cfg.Batch)
	if p.tries > 0 {
		n = 1 // find out which one fails
	}
	return p, slices.Clone(p.entries[:n]), false
}

// settle removes a batch that was handled, or plans its next try.
func (g *group) settle(ctx context.Context, p *part, batch []entry, err error, log *slog.Logger) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.busy = false
	switch {
	case err == nil:
		// Also of a partition that was dropped meanwhile: it is still handled.
		p.tries = 0
		p.entries = rest(p.entries, len(batch))
		for _, e := range batch {
			p.acks = append(p.acks, e.id)
		}
		g.ackSoon()
	case ctx.Err() != nil:
		// The consumer ends; its batch is for the next one.
	default:
		g.failed(p, batch[0], err, log)
	}
	g.offer(p)
	if p.news && !p.full(g.q.cfg.Batch) {
		g.look()
	}
}

// failed plans the next try of an entry, or gives it up.
func (g *group) failed(p *part, e entry, err error, log *slog.Logger) {
	p.tries++
	if p.tries < g.q.cfg.Tries {
		log.Warn("an event could not be handled; trying again", "event", e.m.ID, "try", p.tries, "err", err)
		if g.stopped || p.dropped {
			return
		}
		p.timer = time.AfterFunc(backoff(p.tries, g.q.cfg.MinBackoff, g.q.cfg.MaxBackoff), func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			p.timer = nil
			g.offer(p)
		})
		return
	}
	log.Error("an event could not be handled; giving up", "event", e.m.ID, "tries", p.tries, "err", err)
	p.tries = 0
	p.entries = rest(p.entries, 1)
	p.dead = append(p.dead, deadEntry{e, err.Error()})
	g.look()
}

// full reports whether enough waits to be handled.
func (p *part) full(batch int) bool { return len(p.entries) > batch/2 }

// offer makes a partition available to its consumers if it can be.
func (g *group) offer(p *part) {
	if p.busy || p.queued || p.dropped || p.timer != nil || len(p.dead) > 0 || len(p.entries) == 0 {
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

// ackSoon lets acknowledgements wait for more of them.
func (g *group) ackSoon() {
	if g.ackTimer || g.stopped {
		return
	}
	g.ackTimer = true
	time.AfterFunc(ackDelay, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ackTimer = false
		g.look()
	})
}

func (g *group) stopTimers() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	for _, p := range g.parts {
		if p.timer != nil {
			p.timer.Stop()
		}
	}
}

func messages(batch []entry) []queue.Message {
	all := make([]queue.Message, len(batch))
	for i, e := range batch {
		all[i] = e.m
	}
	return all
}
