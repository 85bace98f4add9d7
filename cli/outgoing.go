package cli

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/callback"
	"github.com/letserverrun/skadi/core/channels"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/httpapi"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/outward"
)

// senders are the accounts, and what calls the callback_url of jobs.
type senders struct {
	*events.Accounts
	callbacks *callbacks
}

// Adapter implements events.Senders.
func (s senders) Adapter(account string) (chat.Adapter, bool) {
	if account == job.CallbackAccount {
		c := s.callbacks.now.Load()
		if c == nil {
			return nil, false
		}
		return c.sender, true
	}
	return s.Accounts.Adapter(account)
}

// callbacks calls the callback_url of jobs as the config says just now.
type callbacks struct{ now atomic.Pointer[calls] }

// calls is what one version of the config makes of it.
type calls struct {
	sender *callback.Sender
	close  func()
}

// newCalls returns nil if the config has no secret to sign with.
func newCalls(cfg *config.Config) (*calls, error) {
	if !cfg.Callbacks.On() {
		return nil, nil //nolint:nilnil // no calls are no error
	}
	keys, err := cfg.Callbacks.Keys()
	if err != nil {
		return nil, err
	}
	allow, err := cfg.Callbacks.Allowed()
	if err != nil {
		return nil, err
	}
	client := outward.New(outward.Config{Allow: allow})
	return &calls{callback.New(callback.Config{Keys: keys, Client: client, Show: httpapi.WireJob}), client.Close}, nil
}

// set has later calls made by c, or by none. A call under way goes on.
func (b *callbacks) set(c *calls) {
	if was := b.now.Swap(c); was != nil {
		was.close()
	}
}

// check says why a callback_url may not be called, or nil.
func (b *callbacks) check(url string) error {
	c := b.now.Load()
	if c == nil {
		return job.ErrCallbacksOff
	}
	return c.sender.Check(url)
}

// made are the adapters of a config by account.
type made map[string]chat.Adapter

// Adapter implements channels.Accounts.
func (m made) Adapter(account string) (chat.Adapter, bool) {
	a, ok := m[account]
	return a, ok
}

// with adds adapters that were made of the config.
func (m made) with(accounts []events.Account) made {
	for _, a := range accounts {
		m[a.Name] = a.Adapter
	}
	return m
}

// fits checks what the config says elsewhere about its adapters: that something
// can be written in the places that it names and be called where it says so,
// and that the names in access rules are such as the adapters know.
func (m made) fits(cfg *config.Config) error {
	book := channels.New(cfg.Channels, cfg.Alerts, m)
	errs := []error{cfg.Place(book.Check()), cfg.CheckAccess(m.Adapter)}
	for _, a := range cfg.Adapters {
		directing, ok := m[a.Name].(chat.Directing)
		if !ok {
			continue
		}
		for _, d := range directing.Directions() {
			var bad *channels.PlaceError
			if d.To != (chat.Destination{}) && errors.As(book.Opens(d.To), &bad) {
				errs = append(errs, a.Errorf(d.Key+"."+bad.Key, "messages of %s cannot be answered in %s: %v", a.Name, d.To, bad))
			}
			if why := neverCalled(cfg, d.CallbackURL); why != "" {
				errs = append(errs, a.Errorf(d.Key, "can never be called: %s", why))
			}
		}
	}
	return errors.Join(errs...)
}

// neverCalled says why the config lets nobody call a callback_url, if it does
// not, and there is one.
func neverCalled(cfg *config.Config, url string) string {
	allow, err := cfg.Callbacks.Allowed()
	switch {
	case url == "" || err != nil: // what is wrong with allow is told by itself
		return ""
	case !cfg.Callbacks.On():
		return "callbacks.secrets, which calls are signed with, is missing"
	}
	if err := allow.Check(url); err != nil {
		return err.Error()
	}
	return ""
}

// makeAll makes the adapters of a config, which checks their blocks, and holds
// the rest of the config against them. They are never run.
func makeAll(cfg *config.Config, factories map[string]chat.Factory) (made, error) {
	errs := []error{cfg.CheckKinds(slices.Sorted(maps.Keys(factories)))}
	all := made{}
	for _, a := range cfg.Adapters {
		all[a.Name] = unmade{}
		factory, ok := factories[a.Kind]
		if !ok {
			continue
		}
		adapter, err := factory(a.Decode, checkEnv(a.Name))
		if err != nil {
			errs = append(errs, a.Place(err))
			continue
		}
		all[a.Name] = adapter
	}
	return all, errors.Join(append(errs, all.fits(cfg))...)
}

// unmade stands for the adapter of a block that is at fault: what is said of
// the account elsewhere may be right.
type unmade struct{ chat.Adapter }

var _ chat.Opener = unmade{}

// Open implements chat.Opener.
func (unmade) Open(context.Context, string) (chat.ConversationRef, error) {
	return chat.ConversationRef{}, errors.New("its adapter was not made")
}

// fit is what a config is held to before it is used: all that can be found out
// without calling anybody.
func fit(factories map[string]chat.Factory) config.Check {
	return func(cfg *config.Config) error {
		_, err := makeAll(cfg, factories)
		return err
	}
}
