package slack

import (
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

var (
	_ chat.ChannelChecker = (*Adapter)(nil)
	_ chat.Naming         = (*Adapter)(nil)
)

// How IDs begin: of workspaces and organizations, of people and their groups,
// and of conversations. Slack writes a person's ID for the conversation with
// them, too.
const (
	beginTeam    = "TE"
	beginPerson  = "UW"
	beginGroup   = "S"
	beginChannel = "CGD"
)

// begins reports whether s can be an ID that begins with one of these letters.
// Slack writes IDs in capitals.
func begins(s, letters string) bool {
	return isID(s) && strings.IndexByte(letters, s[0]) >= 0 && strings.ToUpper(s) == s
}

// CheckChannel implements chat.ChannelChecker.
func (a *Adapter) CheckChannel(channel string) error {
	if begins(channel, beginChannel+beginPerson) {
		return nil
	}
	return fmt.Errorf("%.100q is no channel's ID, such as C0789; it is in capitals, begins with C and stands at the end of the channel's link and in About", channel)
}

// CheckConversation implements chat.Naming.
func (a *Adapter) CheckConversation(name string) error { return a.CheckChannel(name) }

// CheckSender implements chat.Naming.
func (a *Adapter) CheckSender(name string) error {
	team, who, found := strings.Cut(name, "/")
	switch {
	case !found && begins(team, beginPerson+beginGroup):
		return fmt.Errorf("%.100q lacks its workspace: write T0123/%s, with the workspace's ID for T0123; whoami tells it", name, team)
	case !found:
		return fmt.Errorf("%.100q is not of the form workspace/user, by their IDs, such as T0123/U0456; whoami tells them", name)
	case !begins(team, beginTeam):
		return fmt.Errorf("%.100q is no workspace's ID, such as T0123, in capitals; whoami tells it", team)
	case who == "*" || begins(who, beginPerson+beginGroup):
		return nil
	}
	return fmt.Errorf("%.100q is neither a person's ID, such as U0456, nor a user group's, such as S0456, in capitals; "+
		"\"Copy member ID\" in the person's profile gives it, and whoami tells it", who)
}
