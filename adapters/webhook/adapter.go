// Package webhook is a channel on which programs write: the signed webhooks of
// GitHub, GitLab, senders that follow Standard Webhooks, and others that sign
// by HMAC. Rules of the config make messages of their events.
//
// A call is believed when its signature is right, over the body as it came. A
// rule's message is one line of printable text, however strange the payload is,
// and passes the same access rules as anybody's, sent by account:webhook. The
// answer goes to a conversation of another account, to a callback, or becomes
// the status of a commit.
package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// User is the user part of the principal of every webhook: access rules write
// account:webhook.
const User = "webhook"

// Adapter is one account: one webhook.
type Adapter struct {
	cfg    Config
	env    chat.Env
	scheme scheme
	rules  []rule
	// strangers are those whose calls are not signed.
	strangers chat.Rarely
}

// rule is a Rule that was compiled.
type rule struct {
	matcher matcher
	send    *message
	// sha is the template for the commit; nil where the event names it.
	sha     *message
	replies replies
}

var (
	_ chat.Adapter   = (*Adapter)(nil)
	_ chat.Pushed    = (*Adapter)(nil)
	_ chat.Directing = (*Adapter)(nil)
	_ chat.Factory   = Factory
)

// Factory makes an account of its block in the config.
func Factory(decode func(cfg any) error, env chat.Env) (chat.Adapter, error) {
	cfg := Defaults()
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	return New(cfg, env)
}

// Defaults returns the config of a block that says nothing.
func Defaults() Config { return Config{MessageBytes: defaultMessage} }

// New makes an account. It calls nobody. Its error is that of Validate.
func New(cfg Config, env chat.Env) (*Adapter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.MessageBytes == 0 {
		cfg.MessageBytes = defaultMessage
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
	// A token must not go where a redirect leads.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	env.HTTP = &client
	a := &Adapter{cfg: cfg, env: env, scheme: schemeOf(cfg)}
	for i, r := range cfg.Rules {
		one := rule{replies: cfg.repliesOf(r)}
		var err error
		if one.matcher, err = newMatcher(cfg.Provider, r.On); err != nil {
			return nil, fmt.Errorf("rules[%d].on: %w", i, err)
		}
		if one.send, err = newMessage(r.Send, cfg.MessageBytes); err != nil {
			return nil, fmt.Errorf("rules[%d].send: %w", i, err)
		}
		if text := one.replies.status.SHA; text != "" {
			if one.sha, err = newMessage(text, maxSHA); err != nil {
				return nil, fmt.Errorf("rules[%d].commit_status.sha: %w", i, err)
			}
		}
		a.rules = append(a.rules, one)
	}
	return a, nil
}

// Capabilities implements chat.Adapter. A commit's status is never edited: each
// is added to those before, and the newest counts.
func (a *Adapter) Capabilities() chat.Capabilities {
	return chat.Capabilities{MaxBytes: maxDescription}
}

// Directions implements chat.Directing.
func (a *Adapter) Directions() []chat.Direction {
	all := directions("", a.cfg.ReplyTo, a.cfg.CallbackURL)
	for i, r := range a.cfg.Rules {
		all = append(all, directions(fmt.Sprintf("rules[%d].", i), r.ReplyTo, r.CallbackURL)...)
	}
	return all
}

func directions(at string, to chat.Destination, callback string) (all []chat.Direction) {
	if to != (chat.Destination{}) {
		all = append(all, chat.Direction{Key: at + "reply_to", To: to})
	}
	if callback != "" {
		all = append(all, chat.Direction{Key: at + "callback_url", CallbackURL: callback})
	}
	return all
}

// Run waits for ctx to end: everything comes to Handler. It can be called again
// once it has returned.
func (a *Adapter) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
