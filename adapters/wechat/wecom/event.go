package wecom

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
	"github.com/letserverrun/skadi/core/chat"
)

// The kinds of message and event that are read, as
// https://developer.work.weixin.qq.com/document/path/90239 and
// https://developer.work.weixin.qq.com/document/path/90240 have them.
const (
	typeText  = "text"
	typeEvent = "event"
	// eventEnter: a member opens the application; eventSubscribe: it became
	// visible to them.
	eventEnter     = "enter_agent"
	eventSubscribe = "subscribe"
	// eventMenu is a click in the application's menu.
	eventMenu = "click"
	// eventCard is a click on a button of a card.
	eventCard = "template_card_event"
)

// wordless are the kinds of message that have no text.
var wordless = []string{"image", "voice", "video", "location", "link"}

// userID is what a member's ID may be made of. Others are no members.
var userID = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_.@-]{0,63}$`)

// event is a message or an event.
type event struct {
	to, from string
	agent    int64
	at       time.Time
	kind     string // MsgType
	id       string // MsgId; events have none
	text     string
	event    string
	key      string
	task     string
}

// eventOf reads what was in an envelope.
func eventOf(message []byte) (event, error) {
	f, err := envelope.Parse(message)
	if err != nil {
		return event{}, err
	}
	e := event{
		to: f["ToUserName"], from: f["FromUserName"], kind: f["MsgType"], id: f["MsgId"], text: f["Content"],
		event: f["Event"], key: f["EventKey"], task: f["TaskId"],
	}
	at, err := f.Int("CreateTime")
	if err != nil {
		return event{}, err
	}
	e.at = time.Unix(at, 0)
	if e.agent, err = f.Int("AgentID"); err != nil {
		return event{}, err
	}
	if _, err := f.Int("MsgId"); err != nil {
		return event{}, err
	}
	return e, nil
}

// forUs checks that the company and the application are those of the config.
func (a *Adapter) forUs(e event) error {
	switch {
	case e.to != a.cfg.CorpID:
		return fmt.Errorf("%w: its company is %.64q, want %q", envelope.ErrReceiver, e.to, a.cfg.CorpID)
	case e.agent != a.cfg.AgentID && (e.kind != typeEvent || e.agent != 0):
		return fmt.Errorf("%w: its application is %d, want %d", envelope.ErrReceiver, e.agent, a.cfg.AgentID)
	case e.kind == "":
		return errors.New("it has no MsgType")
	}
	return nil
}

// click reports whether e is a click on a card.
func (e event) click() bool { return e.kind == typeEvent && e.event == eventCard }

// inbound returns what core is to know, or false where nobody asks anything.
func (a *Adapter) inbound(e event) (m chat.Inbound, ok bool) {
	if !userID.MatchString(e.from) || e.agent != a.cfg.AgentID {
		return m, false
	}
	c := conversation{User: e.from}
	m = chat.Inbound{
		ID:           a.messageID(e),
		Sender:       chat.Sender{Account: a.env.Account, Workspace: a.cfg.CorpID, User: c.key(), Name: e.from},
		Conversation: c.ref(a.env.Account), Direct: true, Addressed: true, At: e.at,
	}
	switch {
	case e.kind == typeText && e.id != "":
		m.Text = e.text
	case e.id != "" && slices.Contains(wordless, e.kind):
		// Nothing that could be run; core says so.
	case e.kind != typeEvent:
		return m, false
	case e.event == eventEnter, e.event == eventSubscribe:
		m.Joined, m.Addressed = true, false
	case (e.event == eventMenu || e.event == eventCard) && strings.TrimSpace(e.key) != "":
		m.Text = e.key
	default:
		return m, false
	}
	return m, true
}

// messageID is the same whenever e is delivered. Events have no MsgId; WeCom
// says to tell them by who caused them and when. A card counts each button
// once for everybody.
func (a *Adapter) messageID(e event) string {
	app := "wecom/" + strconv.FormatInt(a.cfg.AgentID, 10)
	who := strings.ToLower(e.from)
	switch {
	case e.id != "":
		return app + "/" + e.id
	case e.event == eventEnter, e.event == eventSubscribe:
		return app + "/enter/" + who // once for ever
	case e.click() && e.task != "":
		return app + "/card/" + who + "/" + digest(e.task, e.key)
	}
	return app + "/event/" + who + "/" + strconv.FormatInt(e.at.Unix(), 10) + "/" + digest(e.event, e.key)
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// clickedReply is what WeCom shows on the button that was clicked:
// https://developer.work.weixin.qq.com/document/path/90241
func (e event) clickedReply(now time.Time) []byte {
	word, _, _ := strings.Cut(strings.TrimSpace(e.key), " ")
	return []byte("<xml><ToUserName>" + envelope.CDATA(e.from) + "</ToUserName><FromUserName>" + envelope.CDATA(e.to) +
		"</FromUserName><CreateTime>" + strconv.FormatInt(now.Unix(), 10) + "</CreateTime><MsgType><![CDATA[update_button]]></MsgType>" +
		"<Button><ReplaceName>" + envelope.CDATA("✓ "+cutRunes(word, maxLabel)) + "</ReplaceName></Button></xml>")
}

// greetedKey is where it is kept that a member was greeted.
func (a *Adapter) greetedKey(who string) string {
	return fmt.Sprintf("wecom/greeted/%s/%d/%s", a.cfg.CorpID, a.cfg.AgentID, who)
}

// greeted reports whether a member was greeted before: WeCom says each time
// that somebody opens the application.
func (a *Adapter) greeted(ctx context.Context, who string) bool {
	_, ok, err := a.env.KV.Get(ctx, a.greetedKey(who))
	if err != nil {
		a.env.Logger.Warn("it is not known whether a member was greeted before", "err", err)
		return true // the next time, then
	}
	return ok
}

func (a *Adapter) greet(ctx context.Context, who string) {
	if err := a.env.KV.Set(ctx, a.greetedKey(who), []byte("1"), 0); err != nil {
		a.env.Logger.Warn("a member may be greeted again", "err", err)
	}
}
