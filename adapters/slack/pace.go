package slack

import (
	"errors"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// liveEvery is how often live output is shown, in all messages together.
	// Slack takes some 50 edits a minute from an app in a workspace, and states
	// are worth more than output on its way:
	// https://docs.slack.dev/reference/methods/chat.update and
	// https://docs.slack.dev/apis/web-api/rate-limits
	liveEvery = 2 * time.Second
	// liveAtOnce is how many updates may come at once after a pause.
	liveAtOnce = 10
)

// pace spaces what can wait. It is safe for concurrent use.
type pace struct {
	mu sync.Mutex
	// free is when everything that was let through is paid for.
	free time.Time
}

// wait returns 0 if something may go ahead, or else how long it is to wait.
func (p *pace) wait(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	if early := p.free.Sub(now) - (liveAtOnce-1)*liveEvery; early > 0 {
		return early
	}
	p.free = p.free.Add(liveEvery)
	return 0
}

// pause lets nothing go ahead for a while.
func (p *pace) pause(now time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := now.Add(d + (liveAtOnce-1)*liveEvery); p.free.Before(until) {
		p.free = until
	}
}

// isLive reports whether a message only shows more output. If it is left out,
// nothing is lost.
func isLive(m chat.Outbound) bool {
	return m.Edit != nil && m.Card != nil && !m.Card.Final && m.Card.Output != ""
}

// errLivePace is why live output waits.
var errLivePace = errors.New("live output waits for its turn, so that states get through")
