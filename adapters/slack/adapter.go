// Package slack is the channel of one Slack workspace. It receives over Socket
// Mode or over HTTP, and answers through the Web API.
//
// Whatever comes in is verified, handed to core and only then acknowledged;
// Slack waits three seconds for that and delivers events again that were not
// acknowledged. Slash commands and clicks it does not deliver again, so their
// senders are told if they could not be taken.
package slack

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// liveInterval is the shortest time between two edits of one message.
	// Slack takes about one message a second in a channel:
	// https://docs.slack.dev/apis/web-api/rate-limits
	liveInterval = 2 * time.Second
	// maxText is the longest text of a message, in bytes.
	maxText = 3000
)

// Adapter is one account: an app that is installed in one workspace.
type Adapter struct {
	cfg    Config
	env    chat.Env
	api    *slack.Client
	sender *sender
	home   *home
}

var (
	_ chat.Adapter = (*Adapter)(nil)
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
func New(cfg Config, env chat.Env) (chat.Adapter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if env.Clock == nil {
		env.Clock = time.Now
	}
	if env.Logger == nil {
		env.Logger = slog.New(slog.DiscardHandler)
	}
	if env.HTTP == nil {
		env.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	api := slack.New(cfg.BotToken.Reveal(),
		slack.OptionAPIURL(cfg.api()), slack.OptionHTTPClient(env.HTTP), slack.OptionAppLevelToken(cfg.AppToken.Reveal()))
	return &Adapter{
		cfg: cfg, env: env, api: api,
		sender: newSender(api, env, cfg.api()),
		home:   newHome(api, env),
	}, nil
}

// Capabilities implements chat.Adapter.
func (a *Adapter) Capabilities() chat.Capabilities {
	return chat.Capabilities{Edit: true, Buttons: true, Files: true, MaxBytes: maxText, LiveInterval: liveInterval}
}

// Send implements chat.Adapter.
func (a *Adapter) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	return a.sender.Send(ctx, m)
}

// Run implements chat.Adapter.
func (a *Adapter) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
