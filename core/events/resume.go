package events

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

const (
	// shownPage bounds the running jobs whose messages a new node updates.
	shownPage = 10_000
	// resumePace lets a node that takes several partitions over look for
	// their jobs at once.
	resumePace = 50 * time.Millisecond
)

// resume goes on with the messages of jobs that were sent before this node
// began to serve their conversations.
func (r *Replier) resume(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.resumeNow:
		}
		sleep(ctx, resumePace)
		partitions, begun := r.toResume()
		if len(begun) == 0 {
			continue
		}
		if err := r.followShown(ctx, partitions); err != nil && ctx.Err() == nil {
			r.log.Warn("messages of running jobs cannot be read; trying again", "err", err)
			r.resumeLater(begun)
			sleep(ctx, storeRetry)
		}
	}
}

// toResume returns the terms that began since the last call, and their
// partitions: nil for all.
func (r *Replier) toResume() (partitions []int, begun []*term) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := false
	for p, t := range append(r.parts[:len(r.parts):len(r.parts)], r.local) {
		if t == nil || t.resumed {
			continue
		}
		all = all || t.local || t.partitions == nil
		if !t.local {
			partitions = append(partitions, p)
		}
		if len(begun) == 0 || begun[len(begun)-1] != t {
			begun = append(begun, t)
		}
	}
	for _, t := range begun {
		t.resumed = true
	}
	if all {
		partitions = nil
	}
	return partitions, begun
}

func (r *Replier) resumeLater(begun []*term) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range begun {
		t.resumed = false
	}
	signal(r.resumeNow)
}

func (r *Replier) followShown(ctx context.Context, partitions []int) error {
	list, err := r.cfg.Store.Shown(ctx, partitions, shownPage)
	if err != nil {
		return err
	}
	for _, known := range list {
		j, err := r.cfg.Jobs.Job(ctx, known.Space, known.ID)
		if err != nil || j.Conversation == nil || j.Status != job.Sent {
			continue
		}
		adapter, ok := r.cfg.Senders.Adapter(j.Conversation.Account)
		if !ok {
			continue
		}
		caps := within(adapter.Capabilities(), j.Conversation)
		ref, has, err := r.cfg.Store.MessageRef(ctx, j.ID)
		if err != nil || !has || !caps.Edit || caps.LiveInterval <= 0 {
			continue
		}
		id := convID{j.Conversation.Account, j.Conversation.Key}
		r.mu.Lock()
		t := r.termOf(id)
		r.mu.Unlock()
		if t == nil {
			continue
		}
		r.follow(t, id, j, ref, caps.LiveInterval)
		// Its end may have been told between the two reads.
		if j, err := r.cfg.Jobs.Job(ctx, known.Space, known.ID); err == nil && j.Status != job.Sent {
			r.mu.Lock()
			c := t.convs[id]
			r.mu.Unlock()
			if c != nil {
				r.unfollow(c, known.ID)
			}
		}
	}
	return nil
}
