// Package adapters is the one list of the adapters that Skadi comes with. Who
// writes one of their own builds a main with one more line.
package adapters

import (
	"github.com/letserverrun/skadi/adapters/email"
	"github.com/letserverrun/skadi/adapters/slack"
	"github.com/letserverrun/skadi/adapters/teams"
	"github.com/letserverrun/skadi/adapters/terminal"
	"github.com/letserverrun/skadi/adapters/webhook"
	"github.com/letserverrun/skadi/adapters/wechat"
	"github.com/letserverrun/skadi/core/chat"
)

// Factories returns the factory of each kind of adapter, by the name that the
// config gives it in `kind`.
func Factories() map[string]chat.Factory {
	return map[string]chat.Factory{
		email.Kind:    email.Factory,
		slack.Kind:    slack.Factory,
		teams.Kind:    teams.Factory,
		terminal.Kind: terminal.Factory,
		webhook.Kind:  webhook.Factory,
		wechat.Kind:   wechat.Factory,
	}
}
