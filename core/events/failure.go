package events

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// How failures are retried. With these a far side may be down for most of a
// day before an event is given up.
const (
	minBackoff = time.Second
	maxBackoff = 15 * time.Minute
	// maxTries is for errors that the adapter calls temporary, fewTries for
	// those that it does not classify.
	maxTries = 100
	fewTries = 6

	rateLimitWait = 5 * time.Second // where the far side does not say
	// maxRetryAfter bounds what the far side may ask for.
	maxRetryAfter = 15 * time.Minute

	minPause = time.Minute // of an account whose credentials do not work
	maxPause = 15 * time.Minute
)

// failed decides what becomes of a step that could not be told. parked says
// that the conversation waits; else the step was given up and the next is due.
func (s *server) failed(ctx context.Context, st step, err error) (n next, parked bool) {
	if errors.Is(err, ErrNotHolder) {
		s.c.term.lose()
	}
	if ctx.Err() != nil {
		return next{}, true
	}
	log := s.log.With("account", s.c.id.account, "event", st.newest.ID())
	if errors.Is(err, errStore) {
		log.Warn("an event could not be told; trying again", "err", err)
		return next{parked: storeRetry}, true
	}
	var se *chat.SendError
	tries := maxTries
	if !errors.As(err, &se) {
		se = &chat.SendError{Class: chat.Temporary, Err: err}
		tries = fewTries
	}
	switch se.Class {
	case chat.RateLimited:
		wait := se.RetryAfter
		if wait <= 0 {
			wait = rateLimitWait
		}
		return s.park(ctx, s.c, min(wait, maxRetryAfter), err.Error()), true
	case chat.Auth:
		wait := s.pause(s.c.id.account, err)
		log.Error("the account's credentials do not work; it is paused", "err", err, "for", wait)
		return s.park(ctx, s.c, wait, err.Error()), true
	case chat.Gone:
		log.Warn("the conversation is no more; its events are given up", "err", err)
		return s.buryAll(ctx, err)
	case chat.Shut:
		if !renews(st.newest.Conversation) {
			return s.bury(ctx, st, err)
		}
		log.Info("what is left to say waits until somebody writes there again", "err", err)
		s.c.tries = 0
		s.c.shut = append(s.c.shut, *st.newest.Conversation)
		return next{}, false
	case chat.Permanent:
		return s.bury(ctx, st, err)
	}
	s.c.tries++
	if s.c.tries >= tries {
		return s.bury(ctx, st, err)
	}
	wait := max(backoff(s.c.tries), min(se.RetryAfter, maxRetryAfter))
	log.Warn("an event could not be told; trying again", "err", err, "try", s.c.tries, "in", wait)
	return s.park(ctx, s.c, wait, err.Error()), true
}

// backoff doubles with each try and differs a little each time, so that many
// conversations do not come back at once.
func backoff(tries int) time.Duration {
	wait := min(minBackoff<<min(tries-1, 20), maxBackoff)
	return wait*4/5 + rand.N(wait*2/5) //nolint:gosec // not a secret
}

// park leaves the conversation alone for a while, here and in the database.
func (r *Replier) park(ctx context.Context, c *conversation, wait time.Duration, reason string) next {
	name := Conversation{Account: c.id.account, Key: c.id.key, Tries: c.tries}
	err := r.cfg.Store.Park(ctx, name, r.clock().Add(wait), c.tries, reason, c.term.guard)
	switch {
	case errors.Is(err, ErrNotHolder):
		c.term.lose()
	case err != nil && ctx.Err() == nil:
		r.log.Warn("a conversation could not be parked in the database", "account", c.id.account, "err", err)
	}
	return next{parked: wait}
}

// bury gives up one step.
func (s *server) bury(ctx context.Context, st step, err error) (n next, parked bool) {
	s.log.Error("an event is given up", "account", s.c.id.account, "event", st.newest.ID(), "err", err)
	d := s.delivery(st)
	d.Dead = err.Error()
	if err := s.record(ctx, d); err != nil {
		return next{parked: storeRetry}, true
	}
	s.c.tries = 0
	if st.newest.Kind == job.EventJobStatus && st.newest.Status.Final() {
		delete(s.c.ahead, st.newest.Subject)
		s.unfollow(s.c, st.newest.Subject)
	}
	return next{}, false
}

// buryAll gives up everything that is open in the conversation.
func (s *server) buryAll(ctx context.Context, err error) (n next, parked bool) {
	for {
		open, readErr := s.cfg.Store.Open(ctx, s.name(), openPage)
		if readErr != nil {
			return next{parked: storeRetry}, true
		}
		if len(open) == 0 {
			break
		}
		d := Delivery{Conversation: s.name(), Events: open, Dead: err.Error()}
		if recordErr := s.record(ctx, d); recordErr != nil {
			return next{parked: storeRetry}, true
		}
	}
	s.c.tries = 0
	clear(s.c.ahead)
	s.unfollowAll(s.c)
	return next{}, false
}

// paused returns for how much longer the account is paused.
func (r *Replier) paused(account string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.lane(account).pausedUntil.Sub(r.clock()), 0)
}

// pause pauses the account, longer each time, and returns for how long.
func (r *Replier) pause(account string, err error) time.Duration {
	r.cfg.Senders.Fault(account, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lane(account)
	if left := l.pausedUntil.Sub(r.clock()); left > 0 {
		return left // another conversation found out first
	}
	wait := min(minPause<<min(l.pauses, 10), maxPause)
	l.pauses++
	l.pausedUntil = r.clock().Add(wait)
	return wait
}

// works notes that the account has sent something.
func (r *Replier) works(account string) {
	r.mu.Lock()
	l := r.lane(account)
	l.pauses, l.pausedUntil, l.orphan = 0, time.Time{}, false
	r.mu.Unlock()
	r.cfg.Senders.Recovered(account)
}

// isNoMore reports whether an edit failed because of the message that it was to
// replace, as far as one can tell: the conversation may well be there.
func isNoMore(err error) bool {
	var se *chat.SendError
	return errors.As(err, &se) && (se.Class == chat.Permanent || se.Class == chat.Gone || se.Class == chat.Shut)
}
