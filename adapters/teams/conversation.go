package teams

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

// The kinds of conversation that Teams has.
const (
	personal  = "personal"
	groupChat = "groupChat"
	inChannel = "channel"
)

// conversation is the adapter's part of a conversation reference: where the
// answer to one message goes.
type conversation struct {
	// ServiceURL is where the Bot Connector of the tenant is.
	ServiceURL string `json:"service_url"`
	// ID is the conversation's; in a channel it ends with ;messageid= and the
	// ID of the thread's first message.
	ID string `json:"id"`
	// Type is personal, groupChat or channel.
	Type string `json:"type"`
	// ChannelID names the channel of the Bot Framework, msteams for Teams.
	ChannelID string  `json:"channel_id"`
	Tenant    string  `json:"tenant"`
	Bot       account `json:"bot"`
	// User is who asked.
	User account `json:"user,omitzero"`
	// Asked is the ID of the activity that is answered; empty if it was a click.
	Asked string `json:"asked,omitempty"`
}

// account is a person or a bot in Teams.
type account struct {
	// ID is what the Bot Framework calls it: 29:… a person, 28:… a bot.
	ID string `json:"id,omitempty"`
	// Object is the person's ID in Microsoft Entra, which Sender.User is.
	Object string `json:"object,omitempty"`
	Name   string `json:"name,omitempty"`
}

// threadMark stands between a channel's ID and that of a thread in it:
// https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/channel-and-group-conversations
const threadMark = ";messageid="

// place is the conversation without its thread, as access rules name it.
func (c conversation) place() string {
	id, _, _ := strings.Cut(c.ID, threadMark)
	return id
}

// ref returns the reference for core.
func (c conversation) ref(account string) chat.ConversationRef {
	data, err := json.Marshal(c)
	if err != nil {
		panic("a struct of texts cannot be encoded: " + err.Error())
	}
	return chat.ConversationRef{Account: account, Channel: c.place(), Key: c.ID, Data: data}
}

// conversationOf reads a reference that ref made, maybe by an older version.
func conversationOf(ref chat.ConversationRef) (conversation, error) {
	var c conversation
	if err := json.Unmarshal(ref.Data, &c); err != nil {
		return c, fmt.Errorf("the reference of the Teams conversation %s cannot be read: %w", ref.Key, err)
	}
	if c.ID == "" || c.ServiceURL == "" {
		return c, fmt.Errorf("the reference of the Teams conversation %s names no conversation or no service", ref.Key)
	}
	return c, nil
}
