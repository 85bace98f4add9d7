package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

// slashCommand is what Slack says of a slash command:
// https://docs.slack.dev/interactivity/implementing-slash-commands
type slashCommand struct {
	TeamID       string `json:"team_id"`
	EnterpriseID string `json:"enterprise_id"`
	AppID        string `json:"api_app_id"`
	ChannelID    string `json:"channel_id"`
	UserID       string `json:"user_id"`
	UserName     string `json:"user_name"`
	Text         string `json:"text"`
	ResponseURL  string `json:"response_url"`
	TriggerID    string `json:"trigger_id"`
}

// aside is an answer that only the asker sees.
type aside struct {
	Type string `json:"response_type"`
	Text string `json:"text"`
}

func privately(text string) aside { return aside{Type: "ephemeral", Text: text} }

// slash takes a slash command. Slack delivers it once, so whoever gave it is
// told if it could not be taken. It is answered where it was given if Skadi is
// a member there, and else by its response_url.
func (a *Adapter) slash(ctx context.Context, s slashCommand) verdict {
	if !isID(s.ChannelID) || !isID(s.UserID) || !isID(s.TeamID) || s.TriggerID == "" && s.ResponseURL == "" {
		return malformed
	}
	me, err := a.login.wait(ctx)
	if err != nil {
		return verdict{status: http.StatusOK, reply: privately(apology(errNotRunning)), why: err}
	}
	inOrg := me.orgWide() && s.EnterpriseID == me.enterprise
	if !a.ourApp(s.AppID) || s.TeamID != me.team && !inOrg {
		return foreign
	}
	m := chat.Inbound{
		ID:        "slash/" + digestOf(s.TriggerID, s.ResponseURL),
		Sender:    chat.Sender{Account: a.env.Account, Workspace: s.TeamID, User: s.UserID, Name: s.UserName},
		Text:      orHelp(typed(s.Text)),
		Addressed: true,
		At:        a.env.Clock(),
	}
	m.Groups = a.groups.groups(m.Sender)
	c := a.answerable(ctx, conversation{Team: me.team, Channel: s.ChannelID, User: s.UserID}, s.ResponseURL)
	m.Conversation = c.ref(a.env.Account)
	m.Direct = !c.Guest && strings.HasPrefix(s.ChannelID, "D")
	if err := a.accept(ctx, m); err != nil {
		return verdict{status: http.StatusOK, reply: privately(apology(err)), why: err}
	}
	return taken
}

// answerable adds how to answer where nobody knows whether Skadi is a member:
// by the response_url that came with what is to be answered.
func (a *Adapter) answerable(ctx context.Context, c conversation, responseURL string) conversation {
	if a.isResponseURL(responseURL) {
		c.ResponseURL = responseURL
		c.Until = a.env.Clock().Add(responseLife - responseMargin).UTC()
	}
	in, err := a.member.has(ctx, c.Channel)
	if err != nil {
		a.env.Logger.Warn("nobody can tell whether Skadi is a member of a conversation; it answers as a guest", "channel", c.Channel, "err", err)
	}
	c.Guest = !in
	return c
}

// responseHosts are those that Slack's response_urls lead to.
var responseHosts = map[string]bool{"hooks.slack.com": true, "hooks.slack-gov.com": true}

// isResponseURL reports whether answers may be sent to an address: to Slack's,
// or to the host of a Web API that was set in the config.
func (a *Adapter) isResponseURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil {
		return false
	}
	if u.Scheme == "https" && responseHosts[u.Host] {
		return true
	}
	own, err := url.Parse(a.cfg.api())
	return err == nil && a.cfg.api() != defaultAPI && u.Scheme == own.Scheme && u.Host == own.Host
}

// socketCommand takes a slash command that came over Socket Mode.
func (a *Adapter) socketCommand(ctx context.Context, payload []byte) verdict {
	var s slashCommand
	if err := json.Unmarshal(payload, &s); err != nil {
		return malformed
	}
	return a.slash(ctx, s)
}

// digestOf names something by all of its parts.
func digestOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write([]byte(p))
		_, _ = h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
