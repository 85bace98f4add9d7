package wecom

import (
	"context"
	"fmt"

	"github.com/letserverrun/skadi/core/chat"
)

var (
	_ chat.Opener = (*Adapter)(nil)
	_ chat.Opener = (*Robot)(nil)
)

// Open implements chat.Opener: an application's channels are its members. WeCom
// is not asked; whether it is visible to the member shows when it writes there.
func (a *Adapter) Open(_ context.Context, channel string) (chat.ConversationRef, error) {
	if !userID.MatchString(channel) {
		return chat.ConversationRef{}, permanent(fmt.Errorf("%.100q is no member's ID (账号), as the console shows it", channel))
	}
	return conversation{User: channel}.ref(a.env.Account), nil
}

// groupChannel is what the config calls the one channel of a robot.
const groupChannel = "group"

// Open implements chat.Opener. A robot has one channel, its group.
func (r *Robot) Open(_ context.Context, channel string) (chat.ConversationRef, error) {
	if channel != groupChannel {
		return chat.ConversationRef{}, permanent(fmt.Errorf("%.100q is no channel of a group robot: the only one is %q", channel, groupChannel))
	}
	return chat.ConversationRef{Account: r.env.Account, Channel: groupChannel, Key: groupChannel}, nil
}
