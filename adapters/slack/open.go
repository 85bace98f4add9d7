package slack

import (
	"context"

	"github.com/letserverrun/skadi/core/chat"
)

var _ chat.Opener = (*Adapter)(nil)

// Open implements chat.Opener. Slack is not asked: whether the bot is a member
// of the channel shows when something is posted there.
func (a *Adapter) Open(_ context.Context, channel string) (chat.ConversationRef, error) {
	if err := a.CheckChannel(channel); err != nil {
		return chat.ConversationRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
	}
	return conversation{Channel: channel}.ref(a.env.Account), nil
}
