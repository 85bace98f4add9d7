package teams

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/infracloudio/msbotbuilder-go/schema"

	"github.com/letserverrun/skadi/core/chat"
)

// capabilities are what Teams can do. It takes more edits than one every two
// seconds, but no more than 1,800 an hour in a conversation:
// https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit#per-bot-per-thread-limit
var capabilities = chat.Capabilities{Edit: true, Buttons: true, MaxBytes: maxText, LiveInterval: 3 * time.Second}

// typingTimeout bounds the call that shows that Skadi is at work.
const typingTimeout = 3 * time.Second

// sender carries core's messages to Teams. It may be used concurrently.
type sender struct {
	*connector
	log *slog.Logger
}

func newSender(cfg Config, env chat.Env) *sender {
	s := &sender{connector: newConnector(cfg, env), log: env.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// logIn gets a token, and so checks the credentials. Its errors are
// *chat.SendError, of the class Auth if the credentials are refused.
func (s *sender) logIn(ctx context.Context) error {
	if s.tokens == nil {
		return nil
	}
	_, err := s.tokens.get(ctx)
	return err
}

// sent is the adapter's part of a message reference.
type sent struct {
	// Mark is the last that the message showed.
	Mark chat.Mark `json:"mark,omitempty"`
}

// Send posts m, or edits m.Edit when it is set. A message that Teams finds too
// big is cut harder and sent once more. An edit of what is no more becomes a
// new message, and a reply to what is no more a message by itself.
func (s *sender) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	to, err := conversationOf(m.To)
	if err != nil {
		return chat.MessageRef{}, permanent(err)
	}
	var id string
	for _, r := range rooms {
		if id, err = s.deliver(ctx, to, m, r); !tooBig(err) {
			break
		}
	}
	if err != nil {
		return chat.MessageRef{}, err
	}
	ref := chat.MessageRef{ID: id}
	if m.Card != nil {
		if ref.Data, err = json.Marshal(sent{Mark: m.Card.Mark}); err != nil {
			return chat.MessageRef{}, permanent(err)
		}
		if m.Card.Mark == chat.MarkRunning && markOf(m.Edit) != chat.MarkRunning {
			s.typing(ctx, to)
		}
	}
	return ref, nil
}

func markOf(ref *chat.MessageRef) chat.Mark {
	var last sent
	if ref == nil || json.Unmarshal(ref.Data, &last) != nil {
		return ""
	}
	return last.Mark
}

// deliver sends m as it fits into r: as an edit, or else as a reply, or else,
// where what it replies to is no more, by itself.
func (s *sender) deliver(ctx context.Context, to conversation, m chat.Outbound, r room) (id string, err error) {
	a, mentions, err := compose(to, m, r)
	if err != nil {
		return "", permanent(err)
	}
	c := &call{connector: s.connector, ctx: ctx, mentions: mentions}
	// The far side may not have told the ID of what is to be edited.
	if m.Edit != nil && m.Edit.ID != "" {
		edit := a
		edit.ID, edit.ReplyToID = m.Edit.ID, ""
		if err = c.UpdateActivity(edit); !lost(err) {
			return c.id, err
		}
		c.id = ""
	}
	err = c.SendActivity(a)
	if a.ReplyToID != "" && lost(err) {
		a.ReplyToID = ""
		err = c.SendActivity(a)
	}
	return c.id, err
}

// typing shows that Skadi is at work, where Teams can: not in channels. It is
// a nicety, so nothing fails by it.
func (s *sender) typing(ctx context.Context, to conversation) {
	if to.Type == inChannel {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, typingTimeout)
	defer cancel()
	a := addressed(to, schema.Typing)
	a.ReplyToID = ""
	if err := (&call{connector: s.connector, ctx: ctx}).SendActivity(a); err != nil {
		s.log.Debug("typing could not be shown", "err", err)
	}
}

// addressed returns an activity from the bot to the conversation.
func addressed(to conversation, kind schema.ActivityTypes) schema.Activity {
	return schema.Activity{
		Type: kind, ServiceURL: to.ServiceURL, ChannelID: to.ChannelID, ReplyToID: to.Asked,
		From:      schema.ChannelAccount{ID: to.Bot.ID, Name: to.Bot.Name},
		Recipient: schema.ChannelAccount{ID: to.User.ID, Name: to.User.Name, AadObjectID: to.User.Object},
		Conversation: schema.ConversationAccount{
			ID: to.ID, ConversationType: to.Type, TenantID: to.Tenant, IsGroup: to.Type != personal,
		},
	}
}

// compose makes the activity that says m.
func compose(to conversation, m chat.Outbound, r room) (schema.Activity, []schema.Mention, error) {
	a := addressed(to, schema.Message)
	mention, mentions := mentioned(to, m.Mention)
	if m.Card == nil {
		a.TextFormat, a.Text = schema.XML, mention+markup(m.Text, r.text)
		return a, mentions, nil
	}
	drawn, err := draw(m.Card, r.card)
	if err != nil {
		return a, nil, err
	}
	a.Summary = headline(m.Card)
	attach(&a, drawn)
	if mention != "" {
		a.TextFormat, a.Text = schema.XML, mention
	}
	return a, mentions, nil
}

func attach(a *schema.Activity, card json.RawMessage) {
	a.Attachments = []schema.Attachment{{ContentType: cardType, Content: card}}
}

// mentioned returns the beginning of a message that notifies who, and what
// makes it do so:
// https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/channel-and-group-conversations#add-mentions-to-your-messages
// Teams takes a person's ID in Microsoft Entra for a mention, too:
// https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format#microsoft-azure-active-directory-azure-ad-object-id-and-upn-in-user-mention
func mentioned(to conversation, who *chat.Sender) (text string, mentions []schema.Mention) {
	if who == nil || who.User == "" {
		return "", nil
	}
	id := who.User
	if to.User.ID != "" && to.User.Object == who.User {
		id = to.User.ID
	}
	name := personName(who.Name)
	tag := "<at>" + name + "</at>"
	return tag + " ", []schema.Mention{{
		Type: "mention", Text: tag, Mentioned: schema.ChannelAccount{ID: id, Name: name},
	}}
}
