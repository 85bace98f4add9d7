package wecom

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

// conversation is the adapter's part of a conversation reference. A member has
// one conversation with an application.
type conversation struct {
	// User is the member's ID as WeCom writes it.
	User string `json:"user"`
}

// key names the conversation. WeCom makes no difference between capitals and
// small letters in a member's ID, so neither does a principal.
func (c conversation) key() string { return strings.ToLower(c.User) }

func (c conversation) ref(account string) chat.ConversationRef {
	data, err := json.Marshal(c)
	if err != nil {
		panic("a struct of a text cannot be encoded: " + err.Error())
	}
	return chat.ConversationRef{Account: account, Channel: c.key(), Key: c.key(), Data: data}
}

// conversationOf reads a reference that ref made, maybe by an older version.
func conversationOf(ref chat.ConversationRef) (conversation, error) {
	var c conversation
	if err := json.Unmarshal(ref.Data, &c); err != nil {
		return c, fmt.Errorf("the reference of the WeCom conversation %s cannot be read: %w", ref.Key, err)
	}
	// A list of members or @all is none that ref made.
	if !userID.MatchString(c.User) {
		return c, errors.New("the reference of a WeCom conversation names no member")
	}
	return c, nil
}
