// Package mattermost is a channel to Mattermost. It receives by outgoing
// webhooks, which a server sends for posts in public channels, and answers as a
// bot by the REST API, in the thread of the post that asked.
//
// It is an example of an adapter outside Skadi's repository, and complete: of
// Skadi it imports nothing but core/chat.
package mattermost

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// How soon Run asks again what it could not ask.
const (
	retryFirst = 500 * time.Millisecond
	retryMost  = time.Minute
)

// Kind is the adapter's name in the config.
const Kind = "mattermost"

// Adapter is one account: one bot on one server.
type Adapter struct {
	cfg  Config
	env  chat.Env
	http *http.Client
	// refusedAt is when a refused call was last logged, in Unix seconds.
	refusedAt atomic.Int64
}

var (
	_ chat.Adapter = (*Adapter)(nil)
	_ chat.Pushed  = (*Adapter)(nil)
	_ chat.Entered = (*Adapter)(nil)
	_ chat.Opener  = (*Adapter)(nil)
	_ chat.Naming  = (*Adapter)(nil)
	_ chat.Factory = Factory

	_ chat.ChannelChecker = (*Adapter)(nil)
)

// Factory makes an account of its block in the config. It calls nobody: that is
// for Run and Send, since a config is also only checked.
func Factory(decode func(cfg any) error, env chat.Env) (chat.Adapter, error) {
	var cfg Config
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	return New(cfg, env)
}

// New makes an account. Its error is that of Validate.
func New(cfg Config, env chat.Env) (*Adapter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	client := *env.HTTP
	// The bot's token must not go where a redirect leads.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Adapter{cfg: cfg, env: env, http: &client}, nil
}

// Run sees to it that the bot's token works, and then waits for ctx to end:
// everything comes to Handler. Trouble that may pass it waits out and reports;
// its error says which key is wrong.
func (a *Adapter) Run(ctx context.Context) error {
	a.env.Report(chat.ErrConnecting)
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		err := a.logIn(ctx)
		switch class := chat.Classify(err).Class; {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			a.env.Report(nil)
			<-ctx.Done()
			return nil
		case class == chat.Auth || class == chat.Permanent:
			return err
		}
		a.env.Report(err)
		a.env.Logger.Warn("Mattermost does not say who the bot is; trying again", "err", err, "in", wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// logIn asks Mattermost whose token it is.
func (a *Adapter) logIn(ctx context.Context) error {
	me, err := a.call(ctx, http.MethodGet, "/users/me", nil)
	if err != nil {
		return fmt.Errorf("server, bot_token: %w", err)
	}
	if me.ID != a.cfg.BotUserID {
		return &chat.SendError{Class: chat.Auth, Err: errors.New("bot_user_id: the token is of another user")}
	}
	return nil
}

// Capabilities implements chat.Adapter.
func (a *Adapter) Capabilities() chat.Capabilities {
	// A text has at least as many bytes as characters, so that what fits by
	// the first is never too long by the second, which Mattermost counts.
	return chat.Capabilities{Edit: true, MaxBytes: maxText, LiveInterval: 2 * time.Second}
}

// Endpoints implements chat.Entered.
func (a *Adapter) Endpoints() []chat.Endpoint {
	return []chat.Endpoint{{Path: endpoint, Where: "Integrations, Outgoing Webhooks, Callback URLs"}}
}

// id is what Mattermost's IDs look like.
var id = regexp.MustCompile(`^[a-z0-9]{26}$`)

// Open implements chat.Opener, for agents that speak and alerts that arrive
// where nobody wrote first. The config names a channel by its ID.
func (a *Adapter) Open(ctx context.Context, channel string) (chat.ConversationRef, error) {
	if err := a.CheckChannel(channel); err != nil {
		return chat.ConversationRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	_, err := a.call(ctx, http.MethodGet, "/channels/"+channel, nil)
	var se *chat.SendError
	if errors.As(err, &se) && se.Class == chat.Permanent {
		se.Class = chat.Gone // the bot may not look into it
	}
	return a.conversation(channel), err
}

// CheckChannel implements chat.ChannelChecker, so that a config which names a
// channel by anything but its ID is refused.
func (a *Adapter) CheckChannel(channel string) error {
	if !id.MatchString(channel) {
		return fmt.Errorf("%.100q is no channel's ID; that stands in Mattermost under View Info of the channel and has 26 characters", channel)
	}
	return nil
}

// CheckConversation implements chat.Naming.
func (a *Adapter) CheckConversation(name string) error { return a.CheckChannel(name) }

// CheckSender implements chat.Naming, for rules about somebody's name instead
// of their ID.
func (a *Adapter) CheckSender(name string) error {
	if !id.MatchString(name) {
		return fmt.Errorf("%.100q is no user's ID, which has 26 characters; whoami tells it", name)
	}
	return nil
}

// conversation is a channel, without its threads: the webhook does not say
// which thread a post is in. So replies keep their order within the channel.
func (a *Adapter) conversation(channel string) chat.ConversationRef {
	return chat.ConversationRef{Account: a.env.Account, Channel: channel, Key: channel}
}
