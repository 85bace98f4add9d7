package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// send pushes, and tries again while the server cannot take it. A push that is
// on its way when first ends may still be answered, since only who knows the
// job can cancel it.
func (p *push) send(first, second context.Context, request agentapi.Push) (agentapi.Job, error) {
	ctx, end := context.WithTimeout(second, p.timeout)
	defer end()
	defer context.AfterFunc(first, func() { time.AfterFunc(cancelPatience, end) })()
	patience := min(pushPatience, p.timeout)
	last := time.Now().Add(patience)
	pause := pushPause
	for told := false; ; told = true {
		j, err := p.client.Push(ctx, request, agentapi.PushOptions{IdempotencyKey: p.key})
		wait := max(pause, retryAfter(err))
		if err == nil || !mayPass(err) || first.Err() != nil || time.Now().Add(wait).After(last) {
			return j, err
		}
		if !told {
			fmt.Fprintf(p.err, "trying again for %s: %v\n", patience, err)
		}
		select {
		case <-time.After(wait):
		case <-first.Done():
			return j, err
		}
		pause = min(2*pause, longestPause)
	}
}

// retryAfter is how long the server asks to wait before the next try.
func retryAfter(err error) time.Duration {
	var problem *agentapi.Problem
	if errors.As(err, &problem) {
		return problem.RetryAfter
	}
	return 0
}

// mayPass reports whether the same call may succeed a little later.
func mayPass(err error) bool {
	var problem *agentapi.Problem
	if errors.As(err, &problem) {
		return problem.Temporary()
	}
	var untrusted *tls.CertificateVerificationError
	return !errors.As(err, &untrusted)
}
