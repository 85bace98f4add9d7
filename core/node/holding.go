package node

import (
	"context"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// holding is the context of a duty's work: it ends when the lease does. Its
// Err looks at the clock, since a process that was stopped and goes on may run
// the work before the timer that ends it.
type holding struct {
	context.Context //nolint:containedctx // it is one itself
	end             context.CancelCauseFunc
	now             chat.Clock
	lasts           time.Duration

	mu    sync.Mutex
	timer *time.Timer
	from  time.Time
	lost  bool
}

// newHolding returns a context that is over until renew. lasts is how long it
// goes on after each.
func newHolding(parent context.Context, now chat.Clock, lasts time.Duration) *holding {
	ctx, end := context.WithCancelCause(parent)
	h := &holding{Context: ctx, end: end, now: now, lasts: lasts}
	h.timer = time.AfterFunc(lasts, h.lose)
	return h
}

// renew has the context go on from asked, the moment before the store was
// asked. It reports false if it is over already.
func (h *holding) renew(asked time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost || (!h.from.IsZero() && h.over(h.from)) || h.over(asked) {
		return false
	}
	h.from = asked
	h.timer.Reset(h.lasts - h.now().Sub(asked))
	return true
}

// over reports whether the time from then is up, by the monotonic clock, or by
// the wall clock, which also counts what a suspended machine slept.
func (h *holding) over(then time.Time) bool {
	now := h.now()
	return now.Sub(then) >= h.lasts || now.Round(0).Sub(then.Round(0)) >= h.lasts
}

// left is how long the context goes on if it is not renewed.
func (h *holding) left() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(h.lasts-h.now().Sub(h.from), 0)
}

// lose ends the context. It may be called more than once.
func (h *holding) lose() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loseLocked()
}

func (h *holding) loseLocked() {
	h.lost = true
	h.timer.Stop()
	h.end(ErrLost)
}

// isLost reports whether the lease was lost, whatever became of the parent.
func (h *holding) isLost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.lost && h.over(h.from) {
		h.loseLocked()
	}
	return h.lost
}

// Err implements context.Context.
func (h *holding) Err() error {
	h.isLost()
	return h.Context.Err()
}
