package cli

import (
	"errors"

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
	callbacks *callback.Sender // nil without a secret
}

// Adapter implements events.Senders.
func (s senders) Adapter(account string) (chat.Adapter, bool) {
	if account == job.CallbackAccount {
		return s.callbacks, s.callbacks != nil
	}
	return s.Accounts.Adapter(account)
}

// newCallbacks returns what calls the callback_url of jobs, nil if the config
// has no secret for it, and what ends it.
func newCallbacks(cfg *config.Config) (s *callback.Sender, closed func(), err error) {
	if !cfg.Callbacks.On() {
		return nil, func() {}, nil
	}
	keys, err := cfg.Callbacks.Keys()
	if err != nil {
		return nil, nil, err
	}
	allow, err := cfg.Callbacks.Allowed()
	if err != nil {
		return nil, nil, err
	}
	client := outward.New(outward.Config{Allow: allow})
	return callback.New(callback.Config{Keys: keys, Client: client, Show: httpapi.WireJob}), client.Close, nil
}

// checkCallback says why a callback_url may not be called; nil if there are no
// callbacks.
func (n *node) checkCallback() func(url string) error {
	if n.callbacks == nil {
		return nil
	}
	return n.callbacks.Check
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
