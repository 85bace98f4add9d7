package events

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

const (
	// scanEvery is how often the database is searched for open conversations
	// that nobody told of. It is scanOften while the queue is away, and where
	// nodes share the work, for then the one that relays may have died.
	scanEvery = 5 * time.Second
	scanOften = time.Second
	// scanSoon is the wait after a full page, and scanPace the shortest time
	// between two searches.
	scanSoon = 500 * time.Millisecond
	scanPace = 20 * time.Millisecond
	scanPage = 1000
	// queueTimeout bounds one question to the queue.
	queueTimeout = time.Second
)

// scan searches the database for open conversations: when a term begins, when
// the queue lost something, now and then, and while the queue is away also
// whenever something happens on this node.
func (r *Replier) scan(ctx context.Context) {
	happened, stop := r.cfg.Jobs.Watch(job.WakeEvents)
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.scanNow:
		case <-happened:
			if !r.queueDown.Load() {
				continue
			}
		}
		timer.Reset(r.scanOnce(ctx))
		sleep(ctx, scanPace)
	}
}

// scanOnce touches the conversations that are open and served here, and
// returns when to look again.
func (r *Replier) scanOnce(ctx context.Context) time.Duration {
	again := scanEvery
	if r.cfg.Shared || r.queueDown.Load() {
		again = scanOften
	}
	partitions, any := r.serving()
	if !any {
		return again
	}
	found, err := r.cfg.Store.OpenConversations(ctx, partitions, scanPage)
	if err != nil && ctx.Err() == nil {
		r.log.Warn("open conversations could not be read; trying again", "err", err)
	}
	for _, c := range found {
		r.touch(convID{c.Account, c.Key}, c.Tries)
	}
	if len(found) >= scanPage {
		return scanSoon
	}
	return again
}

// watchQueue asks the queue each second whether it is there.
func (r *Replier) watchQueue(ctx context.Context) {
	if r.cfg.QueueUp == nil {
		return
	}
	tick := time.NewTicker(scanOften)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.askQueue(ctx)
	}
}

func (r *Replier) askQueue(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	err := r.cfg.QueueUp(asking)
	if ctx.Err() != nil || r.queueDown.Swap(err != nil) == (err != nil) {
		return
	}
	signal(r.scanNow)
	if err != nil {
		r.log.Info("the queue brings nothing; conversations are found in the database meanwhile", "err", err)
	} else {
		r.log.Info("the queue brings what happens again")
	}
}
