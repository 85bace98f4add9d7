package cli

import (
	"errors"
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

// places checks that something can be written in the places that the config
// names: those of channels, and those where adapters say that messages are
// answered.
func (m made) places(cfg *config.Config) error {
	book := channels.New(cfg.Channels, cfg.Alerts, m)
	errs := []error{cfg.Place(book.Check())}
	for _, a := range cfg.Adapters {
		directing, ok := m[a.Name].(chat.Directing)
		if !ok {
			continue
		}
		for _, to := range directing.Destinations() {
			if err := book.Opens(to); err != nil {
				errs = append(errs, a.Errorf("", "messages of %s cannot be answered in %s: %v", a.Name, to, err))
			}
		}
	}
	return errors.Join(errs...)
}
