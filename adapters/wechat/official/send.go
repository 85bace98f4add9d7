package official

import (
	"context"
	"regexp"
	"unicode/utf8"

	"github.com/silenceper/wechat/v2/officialaccount/message"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// textLimit is the longest text, in bytes.
	textLimit = 2048
	// maxText leaves some of that for what is escaped.
	maxText = 2000
	// sendPath is the customer-service message's.
	sendPath = "/cgi-bin/message/custom/send"
)

// Send implements chat.Adapter. While the call that brought the message is
// open, its answer goes back within it; else it is a customer-service message.
func (a *Adapter) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	c, err := conversationOf(m.To)
	if err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
	}
	text := fit(m.Text)
	if c.Message != "" && a.calls.hand(ctx, c.Message, text) {
		return chat.MessageRef{ID: m.ID}, nil
	}
	if err := a.api.Post(ctx, sendPath, message.NewCustomerTextMessage(c.User, text), nil); err != nil {
		return chat.MessageRef{}, err
	}
	return chat.MessageRef{ID: m.ID}, nil
}

// link is where WeChat would make a link of a text, or call a mini program.
var link = regexp.MustCompile(`(?i)<(/?a)\b`)

// fit makes a text ready for WeChat: readable, without links that show another
// address than they lead to, and no longer than WeChat takes.
func fit(text string) string {
	text = link.ReplaceAllString(chat.Readable(text), "<\u200b$1")
	if len(text) <= textLimit {
		return text
	}
	const mark = "…"
	end := textLimit - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}
