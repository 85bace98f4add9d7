package row

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// JSONText is for values made of numbers and strings, which always can be
// JSON.
func JSONText(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// PlainJSON writes v without the escapes that only a web page would want.
func PlainJSON(b *strings.Builder, v any) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Conversation reads what ConversationText wrote.
func Conversation(text string) (*chat.ConversationRef, error) {
	if text == "" {
		return nil, nil
	}
	c := new(chat.ConversationRef)
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, fmt.Errorf("read its conversation: %w", err)
	}
	return c, nil
}

// ConversationText is how a conversation is stored; empty for none.
func ConversationText(c *chat.ConversationRef) (string, error) {
	if c == nil {
		return "", nil
	}
	var text strings.Builder
	if err := PlainJSON(&text, c); err != nil {
		return "", fmt.Errorf("the conversation of account %s cannot be stored: %w", c.Account, err)
	}
	return text.String(), nil
}

// SameConversation reports whether a and b would be stored alike.
func SameConversation(a, b *chat.ConversationRef) bool {
	return a == b || a != nil && b != nil &&
		a.Account == b.Account && a.Channel == b.Channel && a.Key == b.Key && bytes.Equal(a.Data, b.Data) &&
		sameQuota(a.Quota, b.Quota) &&
		slices.EqualFunc(a.Also, b.Also, func(x, y chat.ConversationRef) bool { return SameConversation(&x, &y) })
}

func sameQuota(a, b *chat.Quota) bool {
	return a == b || a != nil && b != nil && a.Messages == b.Messages && a.Until.Equal(b.Until)
}

// LateText is how late reports are stored; empty for none.
func LateText(late []job.LateReport) (string, error) {
	if len(late) == 0 {
		return "", nil
	}
	var text strings.Builder
	if err := PlainJSON(&text, late); err != nil {
		return "", fmt.Errorf("the late reports cannot be stored: %w", err)
	}
	return text.String(), nil
}

// CommandsText is how an agent's commands are stored; empty for nil.
func CommandsText(commands []job.Command) (string, error) {
	if commands == nil {
		return "", nil
	}
	var text strings.Builder
	if err := PlainJSON(&text, commands); err != nil {
		return "", err
	}
	return text.String(), nil
}
