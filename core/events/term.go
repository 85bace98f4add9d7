package events

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/queue"
)

// lostGrace is how long a message on its way may take after the lease was
// lost. It is shorter than the margin with which a Duty gives a lease up, so
// that the next holder does not send beside it.
const lostGrace = time.Second

// term is a time in which this node serves some conversations: as long as it
// holds the lease of their partitions. What is remembered of a conversation
// belongs to a term and is forgotten when another node has its turn.
type term struct {
	r *Replier
	// partitions are those served, all if nil; local says that it is the
	// accounts of this process instead.
	partitions []int
	local      bool
	guard      Guard
	// lease is the context of the lease; its Err looks at the clock. ctx ends
	// with it, or when the database says that the lease is another's.
	lease context.Context //nolint:containedctx // both are what a term is
	ctx   context.Context //nolint:containedctx
	end   context.CancelCauseFunc

	// Guarded by Replier.mu.
	convs   map[convID]*conversation
	resumed bool // the jobs shown are followed, or will be
	over    bool
	// working counts what works for the term; nothing begins when it is over.
	working sync.WaitGroup
}

// serveWhile serves the partitions until lease ends, or turns out to be
// another's. It returns when nothing works for them any more.
func (r *Replier) serveWhile(lease context.Context, partitions []int, guard Guard) {
	t := r.begin(lease, &term{partitions: partitions, guard: guard})
	defer r.finish(t)
	t.consume()
}

// serveLocal serves the accounts of this process until ctx ends.
func (r *Replier) serveLocal(ctx context.Context) {
	t := r.begin(ctx, &term{local: true})
	defer r.finish(t)
	<-ctx.Done()
}

func (r *Replier) begin(lease context.Context, t *term) *term {
	t.r, t.lease = r, lease
	t.ctx, t.end = context.WithCancelCause(lease)
	t.convs = make(map[convID]*conversation)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case t.local:
		r.local = t
	case t.partitions == nil:
		for p := range r.parts {
			r.parts[p] = t
		}
	default:
		for _, p := range t.partitions {
			r.parts[p] = t
		}
	}
	if !t.local {
		r.recall(t)
	}
	signal(r.scanNow)
	signal(r.resumeNow)
	return t
}

// finish ends the term, forgets its conversations, and waits for the messages
// on their way.
func (r *Replier) finish(t *term) {
	r.mu.Lock()
	t.over = true
	if r.local == t {
		r.local = nil
	}
	for p := range r.parts {
		if r.parts[p] == t {
			r.parts[p] = nil
		}
	}
	for _, c := range t.convs {
		c.stopTimer()
		c.unfollowAll()
	}
	r.mu.Unlock()
	t.end(nil)
	t.working.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(t)
}

// unsettled is what a term left behind that was sent and not recorded.
type unsettled struct {
	epoch int64
	convs []*conversation
}

// keep remembers what was sent and not recorded, in case the term goes on
// after the database was away. It is called with r.mu held.
func (r *Replier) keep(t *term) {
	u := unsettled{epoch: t.guard.Epoch}
	for _, c := range t.convs {
		if c.unrecorded != nil || len(c.sent) > 0 {
			u.convs = append(u.convs, c)
		}
	}
	if len(u.convs) > 0 {
		r.kept[t.guard.Lease] = u
	}
}

// recall takes up what a former term left, if no other node can have served
// the conversations in between: each new holder raises the epoch by one. It is
// called with r.mu held.
func (r *Replier) recall(t *term) {
	u := r.kept[t.guard.Lease]
	delete(r.kept, t.guard.Lease)
	if t.guard.Epoch > u.epoch+1 {
		return
	}
	for _, old := range u.convs {
		c := t.conversation(old.id, old.tries)
		c.sent, c.unrecorded = old.sent, old.unrecorded
	}
}

// lose ends the term: the database says that the lease is another's.
func (t *term) lose() { t.end(ErrNotHolder) }

// valid reports whether the term goes on, by the clock: a process that was
// stopped for long finds out before it does anything.
func (t *term) valid() bool { return t.lease.Err() == nil && t.ctx.Err() == nil }

// spawn starts work for the term. It is called with Replier.mu held.
func (t *term) spawn(work func(ctx context.Context)) {
	if !t.over {
		t.working.Go(func() { work(t.ctx) })
	}
}

// grace is how long what is on its way may go on after the term's end.
func (t *term) grace() time.Duration {
	switch cause := context.Cause(t.ctx); {
	case errors.Is(cause, node.ErrLost), errors.Is(cause, ErrNotHolder):
		return lostGrace
	}
	return replyGrace
}

// termOf returns the term in which this node serves the conversation, or nil
// if it does not. It is called with r.mu held.
func (r *Replier) termOf(id convID) *term {
	if r.isLocal[id.account] && r.local != nil {
		if _, ok := r.cfg.Senders.Adapter(id.account); ok {
			return r.local
		}
	}
	return r.parts[PartitionOf(id.account, id.key, len(r.parts))]
}

// serving returns the partitions that are served now, nil for all.
func (r *Replier) serving() (partitions []int, any bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	partitions = []int{}
	for p, t := range r.parts {
		if t != nil {
			partitions = append(partitions, p)
		}
	}
	if len(partitions) == len(r.parts) || r.hasLocal() {
		return nil, true
	}
	return partitions, len(partitions) > 0
}

// hasLocal reports whether this process has an account to itself, and serves
// it. It is called with r.mu held.
func (r *Replier) hasLocal() bool {
	return r.local != nil && slices.ContainsFunc(r.cfg.Local, func(account string) bool {
		_, ok := r.cfg.Senders.Adapter(account)
		return ok
	})
}

// consume keeps a consumer in the queue's group until the term ends.
func (t *term) consume() {
	for t.ctx.Err() == nil {
		err := t.r.cfg.Queue.Consume(t.ctx, Group, t.r.cfg.Node, t.partitions, t.r)
		switch {
		case t.ctx.Err() != nil:
		case errors.Is(err, queue.ErrClosed):
			<-t.ctx.Done()
		default:
			t.r.log.Warn("the queue cannot be read; conversations are found in the database meanwhile", "err", err)
			sleep(t.ctx, scanEvery)
		}
	}
}
