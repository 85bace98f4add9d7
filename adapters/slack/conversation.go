package slack

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// responseUses and responseLife are how often and how long a response_url
	// can be used:
	// https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
	responseUses = 5
	responseLife = 30 * time.Minute
	// responseMargin is how long before its end a response_url is no longer
	// relied on.
	responseMargin = time.Minute
)

// actionPrefix begins the action_id of every button that carries a command as
// its value. Slack wants the IDs of one message to differ, so a number follows.
const actionPrefix = "skadi:"

// conversation is the adapter's part of a conversation reference: where the
// answer to one message goes.
type conversation struct {
	// Team is the workspace that the account is installed in.
	Team string `json:"team"`
	// Channel is where to post; a user's ID stands for the direct messages
	// with that user.
	Channel string `json:"channel"`
	// Thread is the ts of the thread's first message; empty is the top level.
	Thread string `json:"thread,omitempty"`
	// Asked is the ts of the asker's message, to react to; empty where they
	// wrote none, as with a slash command or a click.
	Asked string `json:"asked,omitempty"`
	// User is who asked, in case that only they can be reached.
	User string `json:"user,omitempty"`
	// ResponseURL takes answers where Skadi is no member; empty if Slack gave
	// none. It is a secret.
	ResponseURL string `json:"response_url,omitempty"`
	// Until is when ResponseURL stops working.
	Until time.Time `json:"until,omitzero"`
	// Guest says that Skadi may not be a member of the channel, so that only
	// ResponseURL works for certain.
	Guest bool `json:"guest,omitempty"`
}

// key names the conversation within the account. A message at the top level
// that is answered in a thread of its own is a conversation of its own.
func (c conversation) key() string {
	if c.Thread == "" {
		return c.Channel
	}
	return c.Channel + "/" + c.Thread
}

// ref returns the reference for core. Where only a response_url is certain to
// work, core is told how often that can be used. It is not told how long: what
// is sent later goes to the asker directly.
func (c conversation) ref(account string) chat.ConversationRef {
	data, err := json.Marshal(c)
	if err != nil {
		panic("a struct of texts and a time cannot be encoded: " + err.Error())
	}
	ref := chat.ConversationRef{Account: account, Channel: c.Channel, Key: c.key(), Data: data}
	if c.Guest {
		ref.Quota = &chat.Quota{Messages: responseUses}
	}
	return ref
}

// conversationOf reads a reference that ref made, maybe by an older version.
func conversationOf(ref chat.ConversationRef) (conversation, error) {
	var c conversation
	if err := json.Unmarshal(ref.Data, &c); err != nil {
		return c, fmt.Errorf("the reference of the Slack conversation %s cannot be read: %w", ref.Key, err)
	}
	if c.Channel == "" {
		return c, fmt.Errorf("the reference of the Slack conversation %s names no channel", ref.Key)
	}
	return c, nil
}
