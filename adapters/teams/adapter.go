// Package teams is the channel of one Microsoft Teams bot. It receives the
// activities of the Bot Framework over HTTP and answers through the Bot
// Connector.
//
// A call is believed when its token was signed by the Bot Framework for this
// app, and belongs to the service, the channel and the tenant that the activity
// names. What it brings is handed to core and only then acknowledged.
package teams

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/infracloudio/msbotbuilder-go/core"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	retryFirst = 500 * time.Millisecond
	retryMost  = time.Minute
	// waitMost bounds what the far side may ask to wait.
	waitMost = time.Hour
)

// Adapter is one account: one bot.
type Adapter struct {
	cfg    Config
	env    chat.Env
	sender *sender
	places *knownPlaces

	// framework reads activities, and has validator check them.
	framework *core.BotFrameworkAdapter
	validator *validator
	// strangers are those whose calls do not prove to be the Bot Framework's.
	strangers chat.Rarely
}

var (
	_ chat.Adapter = (*Adapter)(nil)
	_ chat.Pushed  = (*Adapter)(nil)
	_ chat.Factory = Factory
)

// Factory makes an account of its block in the config.
func Factory(decode func(cfg any) error, env chat.Env) (chat.Adapter, error) {
	var cfg Config
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	return New(cfg, env)
}

// New makes an account. It calls nobody before Run. Its error is that of
// Validate.
func New(cfg Config, env chat.Env) (*Adapter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if env.Clock == nil {
		env.Clock = time.Now
	}
	if env.Logger == nil {
		env.Logger = slog.New(slog.DiscardHandler)
	}
	client := http.Client{Timeout: 30 * time.Second}
	if env.HTTP != nil {
		client = *env.HTTP
	}
	// A token must not go where a redirect leads, nor keys come from there.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	env.HTTP = &client
	a := &Adapter{cfg: cfg, env: env, sender: newSender(cfg, env), places: newKnownPlaces(env)}
	a.framework, a.validator = newFramework(cfg, env)
	return a, nil
}

// Capabilities implements chat.Adapter.
func (a *Adapter) Capabilities() chat.Capabilities { return capabilities }

// Send implements chat.Adapter.
func (a *Adapter) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	return a.sender.Send(ctx, m)
}

// Run sees to it that the account can log in and tell who calls it, and then
// waits for ctx to end.
// Trouble that may pass it waits out; its error names the key that is wrong. It
// can be called again once it has returned.
func (a *Adapter) Run(ctx context.Context) error {
	if a.cfg.UnauthenticatedLoopback {
		a.env.Logger.Warn("ANYBODY ON THIS MACHINE CAN SPEAK FOR ANYBODY IN TEAMS: unauthenticated_loopback is set. " +
			"It is for the Agents Playground only; take it out of the config otherwise")
	}
	a.env.Report(chat.ErrConnecting)
	if err := a.logIn(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	a.getKeys(ctx)
	<-ctx.Done()
	return nil
}

// logIn tries until the credentials were taken or refused.
func (a *Adapter) logIn(ctx context.Context) error {
	retry := newRetry()
	for {
		err := a.sender.logIn(ctx)
		var failed *chat.SendError
		switch {
		case err == nil:
			a.env.Logger.Info("logged in to Microsoft Teams", "app", a.cfg.AppID)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &failed) && (failed.Class == chat.Auth || failed.Class == chat.Permanent):
			return err
		}
		wait := min(max(retry.NextBackOff(), chat.Classify(err).RetryAfter), waitMost)
		a.env.Report(err)
		a.env.Logger.Warn("Microsoft gives no token; trying again", "err", err, "in", wait)
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

// getKeys tries until there are keys by which a call can be believed: without
// them nothing is taken.
func (a *Adapter) getKeys(ctx context.Context) {
	retry := newRetry()
	for !a.cfg.UnauthenticatedLoopback {
		err := a.validator.keys.warm(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		a.env.Report(err)
		if !pause(ctx, retry.NextBackOff()) {
			return
		}
	}
	a.env.Report(nil)
}

// newRetry spaces tries that have no end.
func newRetry() *backoff.ExponentialBackOff {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = retryFirst, retryMost
	return retry
}

// pause waits, and reports whether ctx did not end meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
