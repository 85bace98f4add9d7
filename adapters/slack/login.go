package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/slack-go/slack"
)

const (
	retryFirst = 250 * time.Millisecond
	retryMost  = 30 * time.Second
	// groupsPatience bounds how long the account waits for the user groups
	// before it takes messages without them.
	groupsPatience = 5 * time.Second
)

// identity is who the bot is.
type identity struct {
	team       string // the workspace that the app is installed in
	enterprise string // its organization, if it has one
	user       string // the bot's user
	bot        string
}

// orgWide reports whether the app is installed in all of an organization.
// auth.test then gives the organization as the team.
func (i identity) orgWide() bool { return i.enterprise != "" && i.team == i.enterprise }

// login is what is known of who the bot is.
type login struct {
	mu      sync.Mutex
	known   chan struct{} // closed when who or err is set
	who     identity
	err     error
	settled bool
}

func newLogin() login { return login{known: make(chan struct{})} }

func (l *login) settle(who identity, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.who, l.err = who, err
	if !l.settled {
		l.settled = true
		close(l.known)
	}
}

// forget makes callers wait again.
func (l *login) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.settled {
		l.settled, l.known = false, make(chan struct{})
	}
}

// errNotRunning is why nothing is taken from an account that did not log in.
var errNotRunning = errors.New("the account is not logged in to Slack")

// wait returns who the bot is as soon as that is known.
func (l *login) wait(ctx context.Context) (identity, error) {
	l.mu.Lock()
	known := l.known
	l.mu.Unlock()
	select {
	case <-known:
	case <-ctx.Done():
		return identity{}, errNotRunning
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.who, l.err
}

// logIn asks Slack who the bot is until it answers. An error means that the
// token does not work.
func (a *Adapter) logIn(ctx context.Context) error {
	a.login.forget()
	retry := newRetry()
	for {
		answer, err := a.api.AuthTestContext(ctx)
		if err == nil && (answer.TeamID == "" || answer.UserID == "") {
			err = errors.New("its answer names no team or no user")
		}
		if err == nil {
			who := identity{team: answer.TeamID, enterprise: answer.EnterpriseID, user: answer.UserID, bot: answer.BotID}
			a.groups.of(who)
			first, cancel := context.WithTimeout(ctx, groupsPatience)
			a.groups.refresh(first)
			cancel()
			a.login.settle(who, nil)
			a.env.Logger.Info("logged in to Slack", "team", who.team, "enterprise", who.enterprise, "bot", who.user)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if reason := tokenFault(err); reason != "" {
			err := fmt.Errorf("bot_token: Slack refuses it (%s): install the app in the workspace again and take its new Bot User OAuth Token", reason)
			a.login.settle(identity{}, err)
			return err
		}
		wait := max(retry.NextBackOff(), retryAfter(err))
		a.env.Report(fmt.Errorf("no answer from Slack who the bot is: %w", withoutURL(err)))
		a.env.Logger.Warn("Slack does not answer who the bot is; trying again", "err", withoutURL(err), "in", wait)
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

// tokenFaults are the errors of the Web API that waiting does not mend:
// https://docs.slack.dev/reference/methods/auth.test#errors and
// https://docs.slack.dev/reference/methods/apps.connections.open#errors
var tokenFaults = []string{
	"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission",
	"not_allowed_token_type", "missing_scope", "org_login_required", "ekm_access_denied", "access_denied",
	"forbidden_team", "team_access_not_granted", "user_removed_from_team",
}

// tokenFault names the error of Slack's if it is the token's fault. A bare 401
// or 403 is as well.
func tokenFault(err error) string {
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) && slices.Contains(tokenFaults, refused.Err) {
		return refused.Err
	}
	var status slack.StatusCodeError
	if errors.As(err, &status) && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden) {
		return fmt.Sprintf("HTTP status %d", status.Code)
	}
	return ""
}

// retryAfter is how long Slack asked to wait.
func retryAfter(err error) time.Duration {
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		return min(max(limited.RetryAfter, 0), 10*time.Minute)
	}
	return 0
}

// withoutURL leaves out the address of an error, since Slack's contain tickets.
func withoutURL(err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		return withURL.Err
	}
	return err
}

// newRetry spaces tries that have no end.
func newRetry() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = retryFirst, retryMost, 2
	b.Reset()
	return b
}

// pause waits, and reports whether ctx did not end meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
