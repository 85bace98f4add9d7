package events

import (
	"context"
	"errors"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// orphanWait is the wait for an account that the config does not have, and
// orphanAge the age at which its events are given up.
const (
	orphanWait = time.Minute
	orphanAge  = 24 * time.Hour
)

// orphaned handles a conversation whose account is not in the config. Its
// events wait, for the config may be mended, but not for ever. Nor do those of
// another process's own account, which that process tells when it is there.
func (r *Replier) orphaned(ctx context.Context, c *conversation) next {
	foreign := r.isLocal[c.id.account]
	if !foreign && !r.isOrphan(c.id.account) {
		r.log.Warn("replies wait for an account that is not in the config; they are given up after a day",
			"account", c.id.account)
	}
	r.unfollowAll(c)
	name := Conversation{Account: c.id.account, Key: c.id.key, Tries: c.tries}
	open, err := r.cfg.Store.Open(ctx, name, openPage)
	if err != nil {
		return next{parked: storeRetry}
	}
	var old []job.Event
	for _, e := range open {
		if r.clock().Sub(e.At) > orphanAge {
			old = append(old, e)
		}
	}
	reason := "the config has no account of this name"
	if foreign {
		reason = "the process with this account did not come back"
	}
	if len(old) > 0 {
		d := Delivery{Conversation: name, Events: old, Dead: reason, Guard: c.term.guard}
		err := r.cfg.Store.Record(ctx, d)
		if errors.Is(err, ErrNotHolder) {
			c.term.lose()
		}
		if err != nil {
			return next{parked: storeRetry}
		}
		r.cfg.Observer.Told(d)
	}
	switch {
	case len(old) == len(open):
		c.tries = 0
		return next{}
	case foreign:
		// It is not parked in the database, where its process would find
		// that.
		return next{parked: orphanWait}
	}
	return r.park(ctx, c, orphanWait, reason)
}

// isOrphan notes that the config lacks the account, and reports whether that
// was known.
func (r *Replier) isOrphan(account string) (known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lane(account)
	known, l.orphan = l.orphan, true
	return known
}
