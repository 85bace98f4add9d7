package mailbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Why reading ends while nothing is wrong with the account.
var (
	errLost   = errors.New("another node reads the mailbox now")
	errUnread = errors.New("another node may be able to read the mailbox")
)

// lead waits for the lease and runs work while it holds, again and again until
// ctx ends or work fails. A node that can read nothing makes way for a while.
func (b *Mailbox) lead(ctx context.Context, work func(context.Context) error) error {
	// doubtful is until when another holder may read as little as this node did.
	var doubtful time.Time
	for ctx.Err() == nil {
		asked := time.Now()
		held, err := b.acquire(ctx, b.times.lease/2)
		switch {
		case err != nil && ctx.Err() == nil:
			b.c.Report(fmt.Errorf("it is not known whether another node reads the mailbox: %w", err))
			b.c.Logger.Debug("could not ask for the lease of the mailbox", "err", err)
		case held:
			err := b.whileHeld(ctx, asked, work)
			if errors.Is(err, errUnread) {
				doubtful = time.Now().Add(3*b.times.lease + b.times.unread)
				pause(ctx, b.times.lease)
			} else if err != nil {
				return err
			}
		case err == nil && time.Now().After(doubtful):
			b.c.Report(nil) // another node reads, and reports
		}
		pause(ctx, b.times.lease/3)
	}
	return nil
}

func (b *Mailbox) acquire(ctx context.Context, within time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, held, err := b.c.Lease.Acquire(ctx, b.c.LeaseName, b.times.lease)
	return held, err
}

// whileHeld runs work and renews the lease. The context of work ends before
// another node can have it. It gives the lease back and returns errUnread when
// nothing is read for too long.
func (b *Mailbox) whileHeld(ctx context.Context, asked time.Time, work func(context.Context) error) error {
	working, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b.health.begin(b.c.Folders)
	done := make(chan error, 1)
	go func() {
		done <- b.c.Guard(working, "reading the mailbox", func() error { return work(working) })
	}()

	// lasts leaves time for what is under way.
	lasts := b.times.lease * 3 / 4
	renew := time.NewTicker(b.times.lease / 3)
	defer renew.Stop()
	for {
		select {
		case err := <-done:
			b.release(ctx)
			return err
		case <-renew.C:
			if b.health.giveUp(b.times.unread, b.c.Report) {
				b.c.Logger.Warn("no folder of the mailbox is read for too long; another node may try now")
				cancel(errUnread)
				err := <-done
				b.release(ctx)
				return cmp.Or(err, errUnread)
			}
			now := time.Now()
			held, err := b.acquire(working, max(asked.Add(lasts).Sub(now), 0))
			switch {
			case held:
				asked = now
			case err == nil, time.Since(asked) >= lasts:
				b.c.Logger.Info("another node may read the mailbox now", "err", err)
				cancel(errLost)
				return <-done
			}
		}
	}
}

// release gives the lease back at once, so that another node need not wait.
func (b *Mailbox) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := b.c.Lease.Release(ctx, b.c.LeaseName); err != nil {
		b.c.Logger.Debug("could not give the lease of the mailbox back", "err", err)
	}
}
