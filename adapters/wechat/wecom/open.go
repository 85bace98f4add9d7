package wecom

import (
	"context"

	"github.com/letserverrun/skadi/core/chat"
)

var (
	_ chat.Opener = (*Adapter)(nil)
	_ chat.Opener = (*Robot)(nil)
)

// Open implements chat.Opener: an application's channels are its members. WeCom
// is not asked; whether it is visible to the member shows when it writes there.
func (a *Adapter) Open(_ context.Context, channel string) (chat.ConversationRef, error) {
	if err := a.CheckChannel(channel); err != nil {
		return chat.ConversationRef{}, permanent(err)
	}
	return conversation{User: channel}.ref(a.env.Account), nil
}

// groupChannel is what the config calls the one channel of a robot.
const groupChannel = "group"

// Open implements chat.Opener. A robot has one channel, its group.
func (r *Robot) Open(_ context.Context, channel string) (chat.ConversationRef, error) {
	if err := r.CheckChannel(channel); err != nil {
		return chat.ConversationRef{}, permanent(err)
	}
	return chat.ConversationRef{Account: r.env.Account, Channel: groupChannel, Key: groupChannel}, nil
}
