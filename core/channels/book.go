package channels

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// Accounts finds the adapter of an account; *events.Accounts does.
type Accounts interface {
	Adapter(account string) (chat.Adapter, bool)
}

// Book is the channels of a config. It may be used concurrently.
type Book struct {
	accounts Accounts
	entries  atomic.Pointer[entries]
}

// entries are what the config says.
type entries struct {
	channels map[string]Channel
	alerts   Alerts
}

// New returns the book of a config that Check finds nothing wrong with.
func New(channels map[string]Channel, alerts Alerts, accounts Accounts) *Book {
	b := &Book{accounts: accounts}
	b.Apply(channels, alerts)
	return b
}

// Apply has other channels and alerts hold from now on, which Check finds
// nothing wrong with.
func (b *Book) Apply(channels map[string]Channel, alerts Alerts) {
	b.entries.Store(&entries{channels: channels, alerts: alerts})
}

// PlaceError says why nothing can be written in a place.
type PlaceError struct {
	Place chat.Destination
	// Key is what of the place is wrong: account or channel.
	Key string
	Why string
}

func (e *PlaceError) Error() string { return e.Why }

// The keys of a place.
const (
	keyAccount = "account"
	keyChannel = "channel"
)

// Opens says why nothing can be written in a place, as far as its account
// tells without asking the far side, as a *PlaceError.
func (b *Book) Opens(to chat.Destination) error {
	opener, err := b.opener(to)
	if err != nil {
		return err
	}
	if checker, ok := opener.(chat.ChannelChecker); ok {
		if err := checker.CheckChannel(to.Channel); err != nil {
			return &PlaceError{to, keyChannel, err.Error()}
		}
	}
	return nil
}

func (b *Book) opener(to chat.Destination) (chat.Opener, error) {
	adapter, ok := b.accounts.Adapter(to.Account)
	if !ok {
		return nil, &PlaceError{to, keyAccount, fmt.Sprintf("no adapter has the name %q", to.Account)}
	}
	opener, ok := adapter.(chat.Opener)
	if !ok {
		return nil, &PlaceError{to, keyAccount, fmt.Sprintf("the account %q is of a kind that answers only who wrote to it, and nothing can begin there", to.Account)}
	}
	return opener, nil
}

// Open returns the conversation of a place.
func (b *Book) Open(ctx context.Context, to chat.Destination) (chat.ConversationRef, error) {
	opener, err := b.opener(to)
	if err != nil {
		return chat.ConversationRef{}, err
	}
	ref, err := opener.Open(ctx, to.Channel)
	if err == nil && (ref.Account != to.Account || ref.Key == "") {
		err = errors.New("its adapter opened something else")
	}
	return ref, err
}

// Check says what is wrong with the places of the book, each with its path in
// the config.
func (b *Book) Check() error {
	var errs []error
	for name, c := range b.entries.Load().channels {
		var bad *PlaceError
		if errors.As(b.Opens(c.Destination()), &bad) {
			errs = append(errs, &fieldError{"channels." + name + "." + bad.Key, bad.Why})
		}
	}
	return errors.Join(errs...)
}

// DeniedError is an agent that may not speak somewhere. Its text is for the
// agent and is the same whether or not there is such a channel.
type DeniedError struct {
	Agent, Channel string
	// Why is for the audit log.
	Why string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("no channel %.100q is open to the agent %s; channels of the config lists the agents of each", e.Channel, e.Agent)
}

// Speak returns the conversation of a channel in which an agent wants to speak,
// or a *DeniedError if it may not.
func (b *Book) Speak(ctx context.Context, space, agent, channel string) (chat.ConversationRef, error) {
	deny := func(why string) (chat.ConversationRef, error) {
		return chat.ConversationRef{}, &DeniedError{Agent: agent, Channel: channel, Why: why}
	}
	c, ok := b.entries.Load().channels[channel]
	switch {
	case space != job.DefaultSpace:
		return deny("channels belong to the space " + job.DefaultSpace)
	case !ok:
		return deny("the config has no channel of that name")
	case !covers(c.Agents, agent):
		return deny(fmt.Sprintf("channels.%s.agents does not list %s", channel, agent))
	}
	return b.Open(ctx, c.Destination())
}

// Offline returns the conversation that is told when an agent goes offline and
// comes back, and false if none is.
func (b *Book) Offline(ctx context.Context, space, agent string) (ref chat.ConversationRef, ok bool, err error) {
	now := b.entries.Load()
	name := now.alerts.Offline
	if i := slices.IndexFunc(now.alerts.For, func(f AlertFor) bool { return covers(f.Agents, agent) }); i >= 0 {
		name = now.alerts.For[i].Offline
	}
	c, ok := now.channels[name]
	if !ok || space != job.DefaultSpace {
		return ref, false, nil
	}
	ref, err = b.Open(ctx, c.Destination())
	return ref, err == nil, err
}

func covers(patterns []string, agent string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return access.MatchesAgent(p, agent) })
}
