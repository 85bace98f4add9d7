package agent

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	retryFirst = 250 * time.Millisecond
	retryMost  = 15 * time.Second
	// conflictRetry is the pause after another instance was met: it may be
	// this agent's own past, which counts as alive for a minute.
	conflictRetry = 5 * time.Second
	// repeatLog is how often a trouble that goes on is logged again.
	repeatLog = 5 * time.Minute
)

// trouble spaces out the tries of one kind of call, and logs its failures
// without flooding: the first, a different one, and a reminder now and then.
type trouble struct {
	a      *Agent
	what   string
	tries  int
	said   string
	saidAt time.Time
}

// failed takes note of a failure and returns how long to wait.
func (t *trouble) failed(err error) time.Duration {
	wait := min(retryMost, retryFirst<<min(t.tries, 10))
	wait = wait/2 + rand.N(wait/2) //nolint:gosec // jitter
	t.tries++
	level := t.a.log.Warn
	text, hint := err.Error(), ""
	var p *agentapi.Problem
	if errors.As(err, &p) {
		wait = max(wait, min(p.RetryAfter, time.Minute))
		switch p.Status {
		case http.StatusUnauthorized:
			if t.a.reloadToken() {
				wait = 0
			}
			level, hint = t.a.log.Error, "the server refuses the token; if it was rotated, put the new one in the token file"
		case http.StatusForbidden:
			level, hint = t.a.log.Error, "the token must be an agent's; skadi agents create makes one"
		case http.StatusConflict:
			wait = max(wait, conflictRetry)
			level, hint = t.a.log.Error, "another process uses this agent's token: give each server an agent of its own, or wait a minute if the state folder was lost"
		case http.StatusNotFound:
			level = t.a.log.Error // which asks whether the address is right
		}
	}
	if now := time.Now(); text != t.said || now.Sub(t.saidAt) >= repeatLog {
		t.said, t.saidAt = text, now
		attrs := []any{"err", text, "tries", t.tries}
		if hint != "" {
			attrs = append(attrs, "hint", hint)
		}
		level("could not "+t.what+"; trying again", attrs...)
	}
	return wait
}

// over takes note of a success.
func (t *trouble) over() {
	if t.tries > 0 && t.said != "" {
		t.a.log.Info("could "+t.what+" again", "tries", t.tries)
	}
	t.tries, t.said = 0, ""
}

// reloadToken reads the token file again and reports whether the token is a
// new one.
func (a *Agent) reloadToken() bool {
	if a.cfg.TokenFile == "" {
		return false
	}
	token, err := readToken(a.cfg.TokenFile)
	a.tokens.Lock()
	defer a.tokens.Unlock()
	if err != nil || token == a.tokens.used[len(a.tokens.used)-1] {
		return false
	}
	if err := a.client.SetToken(token); err != nil {
		a.log.Error("the token file holds no token", "file", a.cfg.TokenFile, "err", err)
		return false
	}
	// The tokens before stay secret: output of running jobs may hold them.
	a.tokens.used = append(a.tokens.used, token)
	a.lookFor(a.tokens.used...)
	a.log.Info("the token file has a new token; using it", "file", a.cfg.TokenFile)
	return true
}

// refused reports whether the server will never take this item, so that its
// entry in the journal is closed.
func refused(a agentapi.Answer) bool {
	switch a.Status {
	case http.StatusConflict, http.StatusNotFound, http.StatusGone:
		return a.Problem == nil || ofSkadi(a.Problem)
	}
	return false
}

// ofSkadi reports whether a problem is the server's word about what was
// asked, and not a proxy's, or a wrong address's, about the call itself.
func ofSkadi(p *agentapi.Problem) bool {
	return p != nil && p.Type != "" && p.Type != "about:blank" && p.Type != agentapi.ProblemNotFound
}

// removed reports whether err says that the agent is no more.
func removed(err error) bool {
	var p *agentapi.Problem
	return errors.As(err, &p) && p != nil && p.Status == http.StatusGone && ofSkadi(p)
}
