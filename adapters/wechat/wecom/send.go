package wecom

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/letserverrun/skadi/adapters/wechat/tencent"
	"github.com/letserverrun/skadi/core/chat"
)

// sendPath is the call that sends a message to a member:
// https://developer.work.weixin.qq.com/document/path/90236
const sendPath = "/cgi-bin/message/send"

// outgoing is one message on the wire.
type outgoing struct {
	ToUser   string        `json:"touser,omitempty"`
	Type     string        `json:"msgtype"`
	Agent    int64         `json:"agentid,omitempty"`
	Text     *content      `json:"text,omitempty"`
	Markdown *content      `json:"markdown,omitempty"`
	Card     *templateCard `json:"template_card,omitempty"`
}

type content struct {
	Content string `json:"content"`
}

// sendAnswer is what WeCom answers with the errcode 0.
type sendAnswer struct {
	InvalidUser    string `json:"invaliduser"`
	UnlicensedUser string `json:"unlicenseduser"`
	MessageID      string `json:"msgid"`
}

// Send implements chat.Adapter. A message becomes several where it must, and
// another try of it goes on with those that are left.
func (a *Adapter) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	to, err := conversationOf(m.To)
	if err != nil {
		return chat.MessageRef{}, permanent(err)
	}
	parts := compose(m, a.cfg.Markdown)
	if len(parts) == 0 {
		return chat.MessageRef{}, permanent(errors.New("the message is empty"))
	}
	was := a.progress.of(m.ID)
	left := len(parts) - was.parts
	if left <= 0 {
		return chat.MessageRef{ID: was.first}, nil
	}
	if wait := a.pace.wait(to.key(), left, a.env.Clock()); wait > 0 {
		return chat.MessageRef{}, &chat.SendError{Class: chat.RateLimited, RetryAfter: wait, Err: errPace}
	}
	for _, p := range parts[was.parts:] {
		p.ToUser, p.Agent = to.User, a.cfg.AgentID
		id, err := a.post(ctx, p)
		if err != nil {
			return chat.MessageRef{}, err
		}
		if was.parts++; was.parts == 1 {
			was.first = id
		}
		if len(parts) > 1 {
			a.progress.note(m.ID, was)
		}
	}
	return chat.MessageRef{ID: was.first}, nil
}

// post sends one message. WeCom answers 0 for who is no member, too.
func (a *Adapter) post(ctx context.Context, p outgoing) (id string, err error) {
	var said sendAnswer
	if err := mendable(a.api.Post(ctx, sendPath, p, &said)); err != nil {
		return "", err
	}
	switch {
	case said.InvalidUser != "":
		return "", gone(errors.New("WeCom does not know the member, or the application is not visible to them (应用可见范围)"))
	case said.UnlicensedUser != "":
		return "", gone(errors.New("the member has no license for interfaces (接口许可)"))
	}
	return said.MessageID, nil
}

// compose makes the messages that say m: a card where it has buttons, and
// before it the text if that has no room on the card.
func compose(m chat.Outbound, inMarkdown bool) []outgoing {
	var card *templateCard
	if m.Card != nil {
		var whole bool
		if card, whole = cardOf(m.Card); whole && card != nil {
			return []outgoing{{Type: "template_card", Card: card}}
		}
	}
	parts := says(m, inMarkdown, maxText)
	if card != nil {
		parts = append(parts, outgoing{Type: "template_card", Card: card})
	}
	return parts
}

// says makes the messages that say m in words.
func says(m chat.Outbound, inMarkdown bool, most int) []outgoing {
	if m.Card != nil && inMarkdown {
		if text, ok := markdown(m.Card, most); ok {
			return []outgoing{{Type: "markdown", Markdown: &content{text}}}
		}
	}
	text := shown(m.Text)
	if text == "" {
		return nil
	}
	var parts []outgoing
	for _, part := range split(text, maxText, maxParts) {
		parts = append(parts, outgoing{Type: "text", Text: &content{part}})
	}
	return parts
}

// classes say what codes mean to WeCom, beside those of [tencent.Client]:
// https://developer.work.weixin.qq.com/document/path/90313
var classes = map[int64]chat.Class{
	40003:  chat.Gone, // no such member
	60111:  chat.Gone, // no such member
	81013:  chat.Gone, // nobody of those whom it was for may see it
	40056:  chat.Auth, // no such application
	48002:  chat.Auth, // the application may not make the call
	50003:  chat.Auth, // it is switched off
	60011:  chat.Auth, // it has no right to the member
	60020:  chat.Auth, // not from this address
	301002: chat.Auth, // the secret is of another application
	93000:  chat.Auth, // the robot is no more, or its address is wrong
	6000:   chat.Temporary,
	45047:  chat.Permanent,
}

// hints are how people can mend what WeCom refuses.
var hints = map[int64]string{
	40001:  "secret must be the Secret on the application's page",
	40013:  "corp_id must be the 企业ID on the page 我的企业",
	40056:  "agent_id must be the AgentId on the application's page",
	48002:  "the application may not send messages",
	50003:  "switch the application on (启用)",
	60011:  "make the application visible to the member (可见范围)",
	60020:  "enter this server's address on the application's page, 企业可信IP",
	301002: "secret and agent_id must be of one application",
	81013:  "make the application visible to the member (可见范围)",
	93000:  "add the robot to the group again and put its address into webhook_url",
}

// limitedFor is how long WeCom refuses messages after too many: its limits are
// by the minute, and it does not say when one is over.
const limitedFor = time.Minute

// mendable adds to an error of Tencent's API how to mend it, and when to try
// again.
func mendable(err error) error {
	var se *chat.SendError
	var said *tencent.Error
	if !errors.As(err, &se) || !errors.As(err, &said) {
		return err
	}
	better := *se
	if hint, ok := hints[said.Code]; ok {
		better.Err = fmt.Errorf("%w; %s", se.Err, hint)
	}
	if better.Class == chat.RateLimited && said.Code != 0 && better.RetryAfter == 0 {
		better.RetryAfter = limitedFor
	}
	return &better
}

func permanent(err error) error { return &chat.SendError{Class: chat.Permanent, Err: err} }

func gone(err error) error { return &chat.SendError{Class: chat.Gone, Err: err} }
