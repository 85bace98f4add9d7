package official

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/silenceper/wechat/v2/officialaccount/message"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
	"github.com/letserverrun/skadi/core/chat"
)

// How much may be said, and for how long:
// https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Service_Center_messages.html
const (
	// afterMessage follow a message that a person wrote, within messageWindow.
	afterMessage  = 5
	messageWindow = 48 * time.Hour
	// afterEvent follow a click on the menu, or somebody's following.
	afterEvent  = 3
	eventWindow = time.Minute
)

// incoming is a message or an event.
type incoming struct {
	fields envelope.Fields
	from   string // the person's OpenID
	to     string // the account's original ID, gh_…
	at     time.Time
	kind   message.MsgType
	event  message.EventType
	id     string // of a message; events have none
}

// parse reads what was verified.
func parse(body []byte) (incoming, error) {
	f, err := envelope.Parse(body)
	if err != nil {
		return incoming{}, err
	}
	in := incoming{
		fields: f, from: f["FromUserName"], to: f["ToUserName"],
		kind: message.MsgType(f["MsgType"]), event: message.EventType(f["Event"]),
	}
	at, err := f.Int("CreateTime")
	if err != nil {
		return incoming{}, err
	}
	in.at = time.Unix(at, 0).UTC()
	id, err := f.Int("MsgId")
	switch {
	case err != nil:
		return incoming{}, err
	case !isID(in.from) || !isID(in.to):
		return incoming{}, fmt.Errorf("%w: FromUserName or ToUserName is missing or odd", envelope.ErrXML)
	case at <= 0 || at > maxTime:
		return incoming{}, fmt.Errorf("%w: CreateTime is missing or odd", envelope.ErrXML)
	case in.kind == "":
		return incoming{}, fmt.Errorf("%w: it has no MsgType", envelope.ErrXML)
	case in.kind != message.MsgTypeEvent && id <= 0:
		return incoming{}, fmt.Errorf("%w: MsgId is missing or odd", envelope.ErrXML)
	}
	in.id = strconv.FormatInt(id, 10)
	return in, nil
}

// maxTime is the end of the year 9999; times after it cannot be written.
const maxTime = 253402300799

// isID reports whether s is an OpenID or an account's ID, as far as its form
// goes.
func isID(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/:"'<>&\`, r) })
}

// inbound returns what somebody asks, if anything. The account and the app are
// this adapter's.
func (in incoming) inbound(account, app string) (chat.Inbound, bool) {
	m := chat.Inbound{
		ID: "msg/" + in.id, Direct: true, Addressed: true, At: in.at,
		Sender: chat.Sender{Account: account, Workspace: app, User: in.from},
	}
	quota := chat.Quota{Messages: afterMessage, Until: in.at.Add(messageWindow), Renews: true}
	switch in.kind {
	case message.MsgTypeText:
		m.Text = in.fields["Content"]
	case message.MsgTypeVoice:
		m.Text = in.fields["Recognition"] // empty unless the account has speech recognition
	case message.MsgTypeImage, message.MsgTypeVideo, message.MsgTypeShortVideo, message.MsgTypeLocation, message.MsgTypeLink:
		// Nothing that could be run; core says so.
	case message.MsgTypeEvent:
		quota = chat.Quota{Messages: afterEvent, Until: in.at.Add(eventWindow), Renews: true}
		m.ID = fmt.Sprintf("event/%s/%d/%s/%s", in.from, in.at.Unix(), in.event, in.fields["EventKey"])
		switch in.event {
		case message.EventClick:
			m.Text = in.fields["EventKey"]
		case message.EventSubscribe:
			m.Joined = true
		default:
			return chat.Inbound{}, false
		}
	default:
		return chat.Inbound{}, false
	}
	m.Conversation = conversation{User: in.from, Message: m.ID}.ref(account)
	m.Conversation.Quota = &quota
	return m, true
}

// reply is the text that answers within the call.
func (in incoming) reply(text string, now time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<xml><ToUserName>%s</ToUserName><FromUserName>%s</FromUserName><CreateTime>%d</CreateTime>"+
		"<MsgType>%s</MsgType><Content>%s</Content></xml>",
		envelope.CDATA(in.from), envelope.CDATA(in.to), now.Unix(), envelope.CDATA(string(message.MsgTypeText)), envelope.CDATA(text))
	return b.Bytes()
}

// conversation is the adapter's part of a conversation reference.
type conversation struct {
	// User is the person's OpenID.
	User string `json:"user"`
	// Message is the ID of what is answered, under which its call waits.
	Message string `json:"message"`
}

// ref returns the reference for core.
func (c conversation) ref(account string) chat.ConversationRef {
	data, err := json.Marshal(c)
	if err != nil {
		panic("a struct of texts cannot be encoded: " + err.Error())
	}
	return chat.ConversationRef{Account: account, Key: c.User, Data: data}
}

// conversationOf reads a reference that ref made, maybe by an older version.
func conversationOf(ref chat.ConversationRef) (conversation, error) {
	var c conversation
	if err := json.Unmarshal(ref.Data, &c); err != nil {
		return c, fmt.Errorf("the reference of the WeChat conversation %s cannot be read: %w", ref.Key, err)
	}
	if c.User == "" {
		return c, errors.New("the reference of a WeChat conversation names nobody")
	}
	return c, nil
}
