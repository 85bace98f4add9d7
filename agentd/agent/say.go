package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// sayTries is how often Say tries.
const sayTries = 5

// Say says something in a channel that the server's config lets this agent
// speak in, once: it tries a few times if the server cannot be reached or asks
// to wait, and then gives up. Secrets are taken out of the text. It may be
// called whether or not the agent runs. Its error is an *agentapi.Problem if
// the server refused.
func (a *Agent) Say(ctx context.Context, channel, text string) error {
	m := agentapi.Message{Channel: channel, Text: a.clean(text)}
	key := rand.Text()
	t := &trouble{a: a, what: "say something in the channel " + channel}
	for try := 1; ; try++ {
		_, err := a.client.Say(ctx, m, key)
		var p *agentapi.Problem
		final := errors.As(err, &p) && !p.Temporary()
		if err == nil || final || try == sayTries || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(t.failed(err))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
