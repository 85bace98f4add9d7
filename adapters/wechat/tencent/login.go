package tencent

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/letserverrun/skadi/core/chat"
)

// Patience is how long it is waited between two tries to log in: at first, at
// most, and at most if Tencent asks for it.
type Patience struct{ First, Most, Asked time.Duration }

// KeepLoggingIn tries until the credentials were taken or refused, or ctx ends,
// and reports to the host how that goes. explain improves an error for people;
// nil leaves it as it is.
func (c *Client) KeepLoggingIn(ctx context.Context, p Patience, env chat.Env, explain func(error) error) error {
	env.Report(chat.ErrConnecting)
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = p.First, p.Most
	for {
		err := c.LogIn(ctx)
		if err == nil {
			env.Report(nil)
			return nil
		}
		if explain != nil {
			err = explain(err)
		}
		failed := chat.Classify(err)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case failed.Class == chat.Auth || failed.Class == chat.Permanent:
			return err
		}
		wait := min(max(retry.NextBackOff(), failed.RetryAfter), p.Asked)
		env.Report(err)
		env.Logger.Warn("Tencent gives no access token; trying again", "err", err, "in", wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
