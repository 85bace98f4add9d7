package tencent

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/letserverrun/skadi/core/chat"
)

// Patience is how long it is waited between two tries to log in: at first, at
// most, and at most if Tencent asks for it.
type Patience struct{ First, Most, Asked time.Duration }

// KeepLoggingIn tries until the credentials were taken or refused, or ctx ends.
// explain improves an error for people; nil leaves it as it is.
func (c *Client) KeepLoggingIn(ctx context.Context, p Patience, log *slog.Logger, explain func(error) error) error {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = p.First, p.Most
	for {
		err := c.LogIn(ctx)
		if err == nil {
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
		log.Warn("Tencent gives no access token; trying again", "err", err, "in", wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
