package slack

import (
	"context"
	"fmt"

	"github.com/letserverrun/skadi/core/chat"
)

var _ chat.Opener = (*Adapter)(nil)

// Open implements chat.Opener. Slack is not asked: whether the bot is a member
// of the channel shows when something is posted there.
func (a *Adapter) Open(_ context.Context, channel string) (chat.ConversationRef, error) {
	if !isID(channel) || channel[0] != 'C' && channel[0] != 'G' && channel[0] != 'D' && !isUser(channel) {
		return chat.ConversationRef{}, &chat.SendError{Class: chat.Permanent, Err: fmt.Errorf(
			"%.100q is no channel's ID; it begins with C and stands at the end of the channel's link and in About", channel)}
	}
	return conversation{Channel: channel}.ref(a.env.Account), nil
}
