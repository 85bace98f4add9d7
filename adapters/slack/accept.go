package slack

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// answerWithin is how long an answer to Slack takes at most. Slack waits three
// seconds: https://docs.slack.dev/apis/events-api/#responding
const answerWithin = 2400 * time.Millisecond

// verdict is the answer to a request of Slack's, as an HTTP status. Over
// Socket Mode, what is not 200 is not acknowledged.
type verdict struct {
	status int
	// reply is the body, if there is one.
	reply any
	// why is for the log, where the status is not 200.
	why error
	// stranger says that nothing proves that Slack sent it.
	stranger bool
}

// The verdicts.
var (
	taken     = verdict{status: http.StatusOK}
	ignored   = verdict{status: http.StatusOK}
	malformed = verdict{status: http.StatusBadRequest, why: errors.New("it is not what Slack sends")}
	foreign   = verdict{status: http.StatusForbidden, why: errors.New("it is for another workspace or another app; each workspace needs an account, and each account an app, of its own")}
)

// unknownHome refuses somebody of another organization of whom Slack does not
// say which, so that nobody passes for a member of this workspace.
var unknownHome = verdict{status: http.StatusForbidden, why: errors.New("it does not say what workspace its sender belongs to")}

// notNow makes Slack deliver an event again.
func notNow(err error) verdict { return verdict{status: http.StatusServiceUnavailable, why: err} }

// errNoAnswer is the error of an Inbox that does not heed its context.
var errNoAnswer = errors.New("it was not stored in time")

// accept hands m to core and returns in time, whatever core does.
func (a *Adapter) accept(ctx context.Context, m chat.Inbound) error {
	done := make(chan error, 1)
	go func() {
		done <- a.env.Guard(ctx, "handing in a message", func() error { return a.env.Inbox.Accept(ctx, m) })
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		select {
		case err := <-done:
			return err
		default:
			return errNoAnswer
		}
	}
}

// Nobody delivers a slash command or a click again, so whoever gave it is told
// one of these.
const (
	notTaken     = "Not accepted: Skadi could not store this just now, so nothing will happen. Please try again in a moment."
	maybeTaken   = "Not accepted in time: Skadi could not make sure that this is stored. Look at `jobs` before you try it again."
	notConnected = "Not accepted: Skadi is not connected to Slack just now, so nothing will happen. Please try again in a moment."
)

// apology is what to tell the asker after an error of accept.
func apology(err error) string {
	switch {
	case errors.Is(err, errNotRunning):
		return notConnected
	case errors.Is(err, errNoAnswer), errors.Is(err, context.DeadlineExceeded):
		return maybeTaken
	}
	return notTaken
}
