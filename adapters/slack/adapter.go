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
	// callTimeout bounds a call to Slack that nobody waits for.
	callTimeout = 10 * time.Second
)

// Adapter is one account: an app that is installed in one workspace.
type Adapter struct {
	cfg    Config
	env    chat.Env
	api    *slack.Client
	sender *sender
	home   *home

	login   login
	errands errands
	groups  *userGroups
	threads *marks // the threads where Skadi takes part
	member  *marks // the conversations that Skadi is a member of
	// strangers are those whose requests are not Slack's.
	strangers chat.Rarely
	// stagger is how long the second connection of Socket Mode waits for the
	// first, so that Slack does not refresh both at the same moment.
	stagger time.Duration
	// parting is how long a connection lives on after its last acknowledgement
	// when the account ends, so that it is written.
	parting  time.Duration
	standing standing
}

var (
	_ chat.Adapter = (*Adapter)(nil)
	_ chat.Factory = Factory
)

// pushed is an account that receives over HTTP. Only these have a Handler.
type pushed struct{ *Adapter }

var _ chat.Pushed = pushed{}

// Factory makes an account of its block in the config.
func Factory(decode func(cfg any) error, env chat.Env) (chat.Adapter, error) {
	var cfg Config
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	return New(cfg, env)
}

// New makes an account. It calls nobody before Run. Its error is that of
// Validate. In ModeHTTP the account is a [chat.Pushed].
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
	client := http.Client{Timeout: 30 * time.Second}
	if env.HTTP != nil {
		client = *env.HTTP
	}
	// Slack redirects no call of its API, and a token must not go elsewhere.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	env.HTTP = &client
	api := slack.New(cfg.BotToken.Reveal(),
		slack.OptionAPIURL(cfg.api()), slack.OptionHTTPClient(caller{env.HTTP, env.Clock}), slack.OptionAppLevelToken(cfg.AppToken.Reveal()))
	a := &Adapter{
		cfg: cfg, env: env, api: api,
		sender:  newSender(api, env, cfg.api()),
		home:    newHome(api, env),
		login:   newLogin(),
		groups:  newUserGroups(api, env),
		threads: newMarks("thread/", env),
		member:  newMarks("member/", env),
		stagger: staggerConnections,
		parting: partingPause,
	}
	if cfg.Mode == ModeHTTP {
		return pushed{a}, nil
	}
	return a, nil
}

// Capabilities implements chat.Adapter.
func (a *Adapter) Capabilities() chat.Capabilities {
	return chat.Capabilities{Edit: true, Buttons: true, Files: true, MaxBytes: maxText, LiveInterval: liveInterval}
}

// Send implements chat.Adapter.
func (a *Adapter) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	return a.sender.Send(ctx, m)
}

// Run logs in, and in ModeSocket receives, until ctx ends. Trouble that may
// pass it waits out; its error names the key that is wrong. It can be called
// again once it has returned.
func (a *Adapter) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := a.errands.begin(ctx, a.env)
	defer func() {
		cancel()
		stop()
		a.flush(context.WithoutCancel(ctx))
	}()
	a.env.Report(chat.ErrConnecting)
	err := a.logIn(ctx)
	if err == nil {
		a.errands.run(ctx, a.groups.keep)
		if a.cfg.Mode == ModeSocket {
			err = a.receive(ctx)
		} else {
			a.env.Report(nil)
			<-ctx.Done()
		}
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it ended because it was told to
	}
	return err
}

// flush keeps the marks that are not kept yet, so that the next process knows
// them.
func (a *Adapter) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	a.threads.flush(ctx)
	a.member.flush(ctx)
}
