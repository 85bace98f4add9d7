package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// defaultTTL is how long a lease holds unless it is renewed.
const defaultTTL = 10 * time.Second

// ErrLost is the cause with which the context of a duty's work ends when the
// lease was lost.
var ErrLost = errors.New("the lease of this duty was lost")

// DutyConfig says what duty it is. Lease and Name are required.
type DutyConfig struct {
	// Lease is the store's leases with this node as their holder.
	Lease chat.Leaser
	// Name is the lease's: sweep, relay …
	Name string
	// TTL is how long the lease holds after it was renewed; 0: 10 s. It is
	// renewed after a third of that.
	TTL time.Duration
	// Margin is how long before its end the lease counts as lost, for the work
	// to come to an end and for clocks that run at different speeds; 0: a
	// quarter of the TTL.
	Margin time.Duration
	// Rank says how many other nodes should rather have the duty; nil: none.
	// A node with rank 0 takes it as soon as it is free; another waits longer,
	// and hands it over again if its rank is not 0 for half a TTL. See
	// Registry.Rank.
	Rank   func() int
	Logger *slog.Logger
}

// Duty is work that one node at a time does for all.
type Duty struct {
	c      DutyConfig
	ranked bool       // it is for one node rather than for others
	now    chat.Clock // with a monotonic reading; tests stop it

	mu    sync.Mutex
	epoch int64
	held  bool
}

// NewDuty returns a duty. It does nothing until Run.
func NewDuty(c DutyConfig) *Duty {
	if c.TTL <= 0 {
		c.TTL = defaultTTL
	}
	if c.Margin <= 0 {
		c.Margin = c.TTL / 4
	}
	ranked := c.Rank != nil
	if !ranked {
		c.Rank = func() int { return 0 }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("duty", c.Name)
	return &Duty{c: c, ranked: ranked, now: time.Now}
}

// Name is the name of the duty's lease.
func (d *Duty) Name() string { return d.c.Name }

// Held reports whether this node has the duty now, and the lease's epoch.
func (d *Duty) Held() (epoch int64, held bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.epoch, d.held
}

func (d *Duty) setHeld(epoch int64, held bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch, d.held = epoch, held
}

// Run waits for the lease and runs work while this node holds it, again and
// again until ctx ends; then it waits for work, gives the lease back, and
// returns nil.
//
// The work's context ends, with the cause ErrLost, before another node can
// have the lease; its Err says so even before its Done does in a process that
// was stopped for longer than the lease and goes on. Work that ends by itself
// gives the lease back and is tried again later, here or elsewhere; an error of
// it is logged. Work is never run twice at a time. What it writes should be
// guarded by the epoch all the same: a statement that was sent already reaches
// the database whenever it does.
func (d *Duty) Run(ctx context.Context, work func(ctx context.Context, epoch int64) error) error {
	if d.c.Rank() > 0 {
		d.pause(ctx)
	}
	for ctx.Err() == nil {
		asked := d.now()
		epoch, held, err := d.acquire(ctx, d.lasts())
		switch {
		case err != nil && ctx.Err() == nil:
			d.c.Logger.Debug("could not ask for the lease", "err", err)
		case held:
			d.hold(ctx, epoch, asked, work)
		}
		d.pause(ctx)
	}
	return nil
}

// lasts is how long the duty may be done after each renewal.
func (d *Duty) lasts() time.Duration { return d.c.TTL - d.c.Margin }

// pause waits until it is time to ask for the lease again. Who should not have
// it lets the others ask first; who should, since another node has just left or
// come, asks soon.
func (d *Duty) pause(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	for waited := time.Duration(0); ; {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		left := d.patience() - waited
		if left <= 0 {
			return
		}
		step := min(left, d.c.TTL/6)
		t.Reset(step)
		waited += step
	}
}

// patience is how long the node waits between asking for a lease that it does
// not have.
func (d *Duty) patience() time.Duration {
	switch {
	case d.c.Rank() > 0:
		return d.c.TTL
	case d.ranked:
		return d.c.TTL / 6
	}
	return d.c.TTL / 3
}

// acquire takes or renews the lease. It gives up after that time, as an answer
// that comes later is worth nothing.
func (d *Duty) acquire(ctx context.Context, within time.Duration) (epoch int64, held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return d.c.Lease.Acquire(ctx, d.c.Name, d.c.TTL)
}

// hold runs work for as long as the lease, acquired at the earliest at asked,
// can be renewed.
func (d *Duty) hold(ctx context.Context, epoch int64, asked time.Time, work func(context.Context, int64) error) {
	// A renewal is part of the work, also of work that takes its time to end.
	store := context.WithoutCancel(ctx)
	h := newHolding(ctx, d.now, d.lasts())
	if !h.renew(asked) {
		h.lose()
		d.release(store)
		return
	}
	d.setHeld(epoch, true)
	defer d.setHeld(0, false)
	d.c.Logger.Debug("this node has the duty", "epoch", epoch)

	done := make(chan error, 1)
	go func() { done <- work(h, epoch) }() //nolint:contextcheck // h is the context
	d.keep(store, h, epoch, done)
	h.lose()
	d.release(store)
}

// keep renews the lease until the work is done, which it is soon once the
// lease is lost.
func (d *Duty) keep(ctx context.Context, h *holding, epoch int64, done <-chan error) {
	next := time.NewTimer(d.c.TTL / 3)
	defer next.Stop()
	first := d.now() // since when this node comes first, or did last
	for {
		select {
		case err := <-done:
			if err != nil && h.Err() == nil {
				d.c.Logger.Error("the duty's work ended; it is taken up again", "err", err)
			}
			return
		case <-next.C:
		}
		if d.c.Rank() == 0 {
			first = d.now()
		}
		switch {
		case d.now().Sub(first) >= d.c.TTL/2:
			d.c.Logger.Debug("this node hands the duty over to another", "epoch", epoch)
			h.lose()
		case d.renew(ctx, h, epoch):
			next.Reset(d.c.TTL / 3)
		default:
			next.Reset(d.c.TTL / 20)
		}
		if h.isLost() {
			if err := <-done; err != nil {
				d.c.Logger.Debug("how the work of the lost duty ended", "err", err)
			}
			return
		}
	}
}

// renew renews the lease and reports whether it could; if not, it may be
// tried again until the time is up.
func (d *Duty) renew(ctx context.Context, h *holding, epoch int64) bool {
	asked := d.now()
	now, held, err := d.acquire(ctx, h.left())
	switch {
	case err != nil && !h.isLost():
		d.c.Logger.Debug("could not renew the lease", "left", h.left().String(), "err", err)
		return false
	case err == nil && held && now == epoch && h.renew(asked):
		return true
	}
	// It ran out, and whoever had it since may have done anything, or may be
	// about to.
	d.c.Logger.Warn("this node lost a duty: it could not renew the lease in time", "epoch", epoch, "err", err)
	h.lose()
	return false
}

// release gives the lease back, for another node to have it at once. It is a
// courtesy, since it also runs out.
func (d *Duty) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, d.c.TTL/4)
	defer cancel()
	if err := d.c.Lease.Release(ctx, d.c.Name); err != nil {
		d.c.Logger.Debug("could not give the lease back; it runs out", "err", err)
	}
}
