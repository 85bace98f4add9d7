package slack

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// envelope is what surrounds every event:
// https://docs.slack.dev/apis/events-api/#event-type-structure
type envelope struct {
	Type          string          `json:"type"`
	TeamID        string          `json:"team_id"`
	EnterpriseID  string          `json:"enterprise_id"`
	ContextTeamID string          `json:"context_team_id"`
	AppID         string          `json:"api_app_id"`
	EventID       string          `json:"event_id"`
	External      bool            `json:"is_ext_shared_channel"`
	For           []authorization `json:"authorizations"`
	Event         json.RawMessage `json:"event"`
}

// authorization is an installation of the app that may see an event.
type authorization struct {
	TeamID       string `json:"team_id"`
	EnterpriseID string `json:"enterprise_id"`
	OrgWide      bool   `json:"is_enterprise_install"`
}

// happening is an event that concerns Skadi, with the fields of all kinds.
type happening struct {
	Type        string          `json:"type"`
	Subtype     string          `json:"subtype"`
	User        string          `json:"user"`
	Text        string          `json:"text"`
	TS          string          `json:"ts"`
	ThreadTS    string          `json:"thread_ts"`
	Parent      string          `json:"parent_user_id"`
	Channel     string          `json:"channel"`
	ChannelType string          `json:"channel_type"`
	BotID       string          `json:"bot_id"`
	Hidden      bool            `json:"hidden"`
	Edited      json.RawMessage `json:"edited"`
	Tab         string          `json:"tab"`
	Inviter     string          `json:"inviter"`

	// Where the author comes from. A message in a channel shared with other
	// organizations has them all.
	Team       string   `json:"team"`
	UserTeam   string   `json:"user_team"`
	SourceTeam string   `json:"source_team"`
	Profile    *profile `json:"user_profile"`
}

type profile struct {
	Team        string `json:"team"`
	DisplayName string `json:"display_name"`
	RealName    string `json:"real_name"`
}

// subtypes are those of messages that a person wrote and that may be commands:
// with a file, or from a thread to the channel as well. All others never run:
// what somebody changed or deleted, what programs sent, what tells that
// somebody joined, and /me, by which people speak of themselves.
var subtypes = map[string]bool{"": true, "file_share": true, "thread_broadcast": true}

// event takes an event of the Events API. Slack delivers it up to three times
// more if it is not acknowledged, with the same event_id.
func (a *Adapter) event(ctx context.Context, body []byte) verdict {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" {
		return malformed
	}
	if e.Type == "app_rate_limited" { // https://docs.slack.dev/apis/events-api/#rate-limiting
		a.env.Logger.Error("Slack leaves out events for a minute, for there are more than it delivers to one app in an hour")
	}
	if e.Type != "event_callback" {
		return ignored
	}
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(e.Event, &kind); err != nil || kind.Type == "" || e.EventID == "" || len(e.EventID) > maxID {
		return malformed
	}
	handle := a.handlers()[kind.Type]
	if handle == nil {
		return ignored
	}
	var h happening
	if err := json.Unmarshal(e.Event, &h); err != nil {
		return malformed
	}
	me, err := a.login.wait(ctx)
	switch {
	case err != nil:
		return notNow(err)
	case !a.concerns(me, e):
		return foreign
	}
	return handle(ctx, me, e, h)
}

// handlers are those of the events that the app subscribes to, by their type.
func (a *Adapter) handlers() map[string]func(context.Context, identity, envelope, happening) verdict {
	return map[string]func(context.Context, identity, envelope, happening) verdict{
		"app_mention": a.mention, "message": a.message, "app_home_opened": a.homeOpened,
		"member_joined_channel": a.joined, "member_left_channel": a.left, "channel_left": a.left, "group_left": a.left,
	}
}

// concerns reports whether an event is for this account. Of a channel shared
// with other workspaces, the event names the workspace where it happened, and
// only its authorizations name the installation that it is for:
// https://docs.slack.dev/apis/slack-connect
func (a *Adapter) concerns(me identity, e envelope) bool {
	if !a.ourApp(e.AppID) {
		return false
	}
	if e.TeamID == me.team {
		return true
	}
	sameOrg := me.enterprise != "" && e.EnterpriseID == me.enterprise
	if me.orgWide() {
		for _, f := range e.For {
			sameOrg = sameOrg || f.OrgWide && f.EnterpriseID == me.enterprise
		}
		return sameOrg
	}
	if !e.External && !sameOrg {
		return false
	}
	for _, f := range e.For {
		if f.TeamID == me.team {
			return true
		}
	}
	return e.ContextTeamID == me.team
}

// ourApp reports whether something is for this account's app, as far as its
// tokens tell. In ModeHTTP the signature tells.
func (a *Adapter) ourApp(id string) bool {
	own := a.cfg.appID()
	return own == "" || id == "" || id == own
}

// author returns who wrote a message; false if their workspace is not known.
// User IDs are unique in an organization only, so the workspace is theirs and
// not that where they wrote.
func (a *Adapter) author(e envelope, h happening) (chat.Sender, bool) {
	s := chat.Sender{Account: a.env.Account, User: h.User}
	teams := []string{h.UserTeam, "", h.Team, h.SourceTeam, ""}
	if h.Profile != nil {
		teams[1] = h.Profile.Team
		s.Name = h.Profile.DisplayName
		if s.Name == "" {
			s.Name = h.Profile.RealName
		}
	}
	if !e.External {
		teams[4] = e.TeamID
	}
	for _, team := range teams {
		if team != "" {
			s.Workspace = team
			return s, isID(team)
		}
	}
	return s, false
}

// human reports whether a message was written by a person, just now.
func (h happening) human(me identity) bool {
	return h.User != "" && h.User != me.user && h.User != "USLACKBOT" && h.BotID == "" &&
		subtypes[h.Subtype] && !h.Hidden && (len(h.Edited) == 0 || string(h.Edited) == "null")
}

// direct reports whether a message was written to Skadi alone. Events that do
// not tell the type of their conversation are of channels, unless the ID says
// otherwise.
func (h happening) direct() bool {
	return h.ChannelType == "im" || h.ChannelType == "app_home" ||
		h.ChannelType == "" && strings.HasPrefix(h.Channel, "D")
}

// inThread reports whether a message stands in a thread that another began.
func (h happening) inThread() bool { return h.ThreadTS != "" && h.ThreadTS != h.TS }

// mention takes a message that mentions Skadi. Direct messages come as such.
func (a *Adapter) mention(ctx context.Context, me identity, e envelope, h happening) verdict {
	if h.direct() || !h.human(me) {
		return ignored
	}
	root := h.TS
	if h.ThreadTS != "" {
		root = h.ThreadTS
	}
	m, bad := a.written(me, e, h, root)
	if bad != nil {
		return *bad
	}
	m.Addressed, m.Text = true, orHelp(m.Text)
	return a.handIn(ctx, m, root)
}

// message takes a message that does not mention Skadi, in a direct message or
// a thread where it takes part. Those that do come as mentions too.
func (a *Adapter) message(ctx context.Context, me identity, e envelope, h happening) verdict {
	if !h.human(me) || strings.TrimSpace(h.Text) == "" { // a file without a word
		return ignored
	}
	if h.direct() {
		root := ""
		if h.inThread() {
			root = h.ThreadTS
		}
		m, bad := a.written(me, e, h, root)
		if bad != nil {
			return *bad
		}
		m.Direct, m.Addressed, m.Text = true, true, orHelp(m.Text)
		return a.handIn(ctx, m, root)
	}
	if isID(h.Channel) {
		a.isMember(ctx, h.Channel)
	}
	if !h.inThread() || mentioned(h.Text, me.user) {
		return ignored
	}
	m, bad := a.written(me, e, h, h.ThreadTS)
	switch {
	case bad != nil:
		return *bad
	case strings.TrimSpace(m.Text) == "":
		return ignored
	}
	if h.Parent != me.user {
		in, err := a.threads.has(ctx, m.Conversation.Key)
		if err != nil {
			return notNow(err)
		}
		if !in {
			return ignored
		}
	}
	m.Followed = true
	return a.handIn(ctx, m, h.ThreadTS)
}

// orHelp is what somebody wants who calls Skadi and says nothing else.
func orHelp(text string) string {
	if strings.TrimSpace(text) == "" {
		return "help"
	}
	return text
}

// written makes the message that somebody wrote, to be answered in the thread
// of root. What it cannot make one of, it answers.
func (a *Adapter) written(me identity, e envelope, h happening, root string) (chat.Inbound, *verdict) {
	if !isID(h.User) || !isID(h.Channel) || !isTime(h.TS) || root != "" && !isTime(root) {
		return chat.Inbound{}, &malformed
	}
	who, ok := a.author(e, h)
	if !ok {
		return chat.Inbound{}, &unknownHome
	}
	c := conversation{Team: me.team, Channel: h.Channel, Thread: root, Asked: h.TS, User: h.User}
	return chat.Inbound{
		ID: e.EventID, Sender: who, Conversation: c.ref(a.env.Account),
		Text: typed(withoutMention(h.Text, me.user)), At: a.timeOf(h.TS),
	}, nil
}

// handIn hands in what came as an event. Skadi is where it came from, and
// takes part in the thread from then on.
func (a *Adapter) handIn(ctx context.Context, m chat.Inbound, thread string) verdict {
	m.Groups = a.groups.groups(m.Sender)
	if err := a.accept(ctx, m); err != nil {
		return notNow(err)
	}
	a.isMember(ctx, m.Conversation.Channel)
	if thread != "" && a.threads.add(m.Conversation.Key) {
		a.errands.run(ctx, a.threads.flush)
	}
	return taken
}

// isMember remembers that Skadi is a member of a conversation.
func (a *Adapter) isMember(ctx context.Context, channel string) {
	if a.member.add(channel) {
		a.errands.run(ctx, a.member.flush)
	}
}

// joined takes that somebody came to a conversation, if that is Skadi.
func (a *Adapter) joined(ctx context.Context, me identity, e envelope, h happening) verdict {
	if h.User != me.user {
		return ignored
	}
	if !isID(h.Channel) || h.Inviter != "" && !isID(h.Inviter) {
		return malformed
	}
	who := h.Inviter
	if who == "" || e.External { // of whom it is not said where they belong
		who = me.user
	}
	c := conversation{Team: me.team, Channel: h.Channel}
	return a.handIn(ctx, chat.Inbound{
		ID: "joined/" + h.Channel, Sender: chat.Sender{Account: a.env.Account, Workspace: me.team, User: who},
		Conversation: c.ref(a.env.Account), Joined: true, At: a.env.Clock(),
	}, "")
}

// left takes that somebody left a conversation, if that is Skadi.
func (a *Adapter) left(ctx context.Context, me identity, _ envelope, h happening) verdict {
	if h.Type == "member_left_channel" && h.User != me.user {
		return ignored
	}
	if err := a.member.remove(ctx, h.Channel); err != nil {
		return notNow(err)
	}
	return taken
}

// homeOpened draws the page of whoever opened it.
func (a *Adapter) homeOpened(ctx context.Context, me identity, e envelope, h happening) verdict {
	if h.Tab != "" && h.Tab != "home" || !isID(h.User) {
		return ignored
	}
	who, ok := a.author(e, h)
	if !ok {
		who.Workspace = me.team // the page is of this installation
	}
	a.errands.run(ctx, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		if err := a.home.Publish(ctx, who, a.groups.groups(who)); err != nil {
			a.env.Logger.Warn("somebody's page in Slack was not drawn", "user", who.User, "err", withoutURL(err))
		}
	})
	return taken
}

// timeOf is when a ts was, or now.
func (a *Adapter) timeOf(ts string) time.Time {
	whole, fraction, _ := strings.Cut(ts, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return a.env.Clock()
	}
	micros, _ := strconv.ParseInt((fraction + "000000")[:6], 10, 64)
	return time.Unix(seconds, micros*1000)
}

// maxID is longer than any ID of Slack's.
const maxID = 100

// isID reports whether s can be the ID of a workspace, a person or a
// conversation. It keeps what separates the parts of a principal out of them.
func isID(s string) bool {
	return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && r != '-'
	})
}

// isTime reports whether s can be the ts of a message.
func isTime(s string) bool {
	return s != "" && len(s) <= 40 && !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
}
