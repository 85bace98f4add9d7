package slack

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// interaction is what Slack says of a click:
// https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
type interaction struct {
	Type        string        `json:"type"`
	AppID       string        `json:"api_app_id"`
	Team        *clickTeam    `json:"team"`
	Enterprise  *clickTeam    `json:"enterprise"`
	User        clickUser     `json:"user"`
	Channel     clickChannel  `json:"channel"`
	Container   clickPlace    `json:"container"`
	Message     clickMessage  `json:"message"`
	View        clickView     `json:"view"`
	ResponseURL string        `json:"response_url"`
	Actions     []clickAction `json:"actions"`
}

type clickTeam struct {
	ID           string `json:"id"`
	EnterpriseID string `json:"enterprise_id"`
}

type clickUser struct {
	ID       string `json:"id"`
	TeamID   string `json:"team_id"`
	Name     string `json:"name"`
	Username string `json:"username"`
}

type clickChannel struct {
	ID string `json:"id"`
}

type clickPlace struct {
	Type      string `json:"type"`
	MessageTS string `json:"message_ts"`
	ThreadTS  string `json:"thread_ts"`
	ChannelID string `json:"channel_id"`
	Ephemeral bool   `json:"is_ephemeral"`
}

type clickMessage struct {
	TS       string `json:"ts"`
	ThreadTS string `json:"thread_ts"`
	User     string `json:"user"`
}

type clickView struct {
	ID   string `json:"id"`
	Hash string `json:"hash"`
}

type clickAction struct {
	ID    string `json:"action_id"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// interaction takes a click on a button. Slack delivers it once, so whoever
// clicked is told if it could not be taken.
func (a *Adapter) interaction(ctx context.Context, payload []byte) verdict {
	var i interaction
	if err := json.Unmarshal(payload, &i); err != nil || i.Type == "" {
		return malformed
	}
	command := i.command()
	if command == "" { // a link that looks like a button, or a view that closed
		return ignored
	}
	if !isID(i.User.ID) {
		return malformed
	}
	me, err := a.login.wait(ctx)
	if err != nil {
		return notNow(err)
	}
	home, ours := a.clickedFrom(me, i)
	switch {
	case !ours:
		return foreign
	case !isID(home):
		return unknownHome
	}
	m := chat.Inbound{
		Sender: chat.Sender{Account: a.env.Account, Workspace: home, User: i.User.ID, Name: i.User.Username},
		Text:   command, Addressed: true, At: a.env.Clock(),
	}
	if m.Sender.Name == "" {
		m.Sender.Name = i.User.Name
	}
	m.Groups = a.groups.groups(m.Sender)
	if i.Container.Type == "view" {
		return a.homeClicked(ctx, me, i, m)
	}
	return a.cardClicked(ctx, me, i, m)
}

// command is what the button that was clicked stands for.
func (i interaction) command() string {
	if i.Type != "block_actions" {
		return ""
	}
	for _, one := range i.Actions {
		if one.Type == "button" && strings.HasPrefix(one.ID, actionPrefix) && one.Value != "" {
			return one.Value
		}
	}
	return ""
}

// clickedFrom returns the workspace that whoever clicked belongs to, and
// whether the click is for this account. Somebody of another organization
// clicks in a workspace of theirs, on a message of this account's bot.
func (a *Adapter) clickedFrom(me identity, i interaction) (home string, ours bool) {
	var where clickTeam
	if i.Team != nil {
		where = *i.Team
	}
	if i.Enterprise != nil && where.EnterpriseID == "" {
		where.EnterpriseID = i.Enterprise.ID
	}
	own := where.ID == me.team || me.orgWide() && where.EnterpriseID == me.enterprise
	home = i.User.TeamID
	if home == "" && own {
		home = where.ID
	}
	return home, a.ourApp(i.AppID) && (own || i.Message.User == me.user)
}

// cardClicked takes a click on a button of a message.
func (a *Adapter) cardClicked(ctx context.Context, me identity, i interaction, m chat.Inbound) verdict {
	c := conversation{Team: me.team, Channel: i.Channel.ID, Thread: i.Message.ThreadTS, User: i.User.ID}
	on := i.Container.MessageTS
	if c.Channel == "" {
		c.Channel = i.Container.ChannelID
	}
	if c.Thread == "" {
		c.Thread = i.Container.ThreadTS
	}
	if on == "" {
		on = i.Message.TS
	}
	if !isID(c.Channel) || !isTime(on) || c.Thread != "" && !isTime(c.Thread) {
		return malformed
	}
	with := a.answerable(ctx, c, i.ResponseURL)
	if with.Guest || i.Container.Ephemeral {
		c = with
		c.Guest = true
	}
	m.ID = "click/" + digestOf(c.Channel, on, m.Sender.Principal(), m.Text)
	m.Conversation = c.ref(a.env.Account)
	m.Direct = !c.Guest && strings.HasPrefix(c.Channel, "D")
	if err := a.accept(ctx, m); err != nil {
		a.apologize(ctx, with, apology(err))
		return verdict{status: http.StatusOK, why: err}
	}
	return taken
}

// homeClicked takes a click on a button of somebody's page. It is answered by
// a direct message.
func (a *Adapter) homeClicked(ctx context.Context, me identity, i interaction, m chat.Inbound) verdict {
	if i.View.ID == "" {
		return malformed
	}
	m.ID = "click/" + digestOf("view", i.View.ID, i.View.Hash, m.Sender.Principal(), m.Text)
	m.Conversation = conversation{Team: me.team, Channel: i.User.ID, User: i.User.ID}.ref(a.env.Account)
	m.Direct = true
	if err := a.accept(ctx, m); err != nil {
		return notNow(err) // Slack marks the button with a warning
	}
	return taken
}

// apologize tells whoever clicked that nothing will happen, after the click
// was answered: the answer to a click is not shown.
func (a *Adapter) apologize(ctx context.Context, c conversation, text string) {
	ok := a.errands.run(ctx, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		var err error
		if c.ResponseURL != "" {
			err = slack.PostWebhookCustomHTTPContext(ctx, c.ResponseURL, a.env.HTTP, &slack.WebhookMessage{
				ResponseType: slack.ResponseTypeEphemeral, Text: text, ThreadTimestamp: c.Thread,
			})
		} else {
			err = a.sender.Ephemeral(ctx, c.Channel, c.User, c.Thread, text)
		}
		if err != nil {
			a.env.Logger.Warn("somebody clicked in vain and could not be told", "user", c.User, "err", withoutURL(err))
		}
	})
	if !ok {
		a.env.Logger.Warn("somebody clicked in vain and could not be told", "user", c.User, "err", errNotRunning)
	}
}
