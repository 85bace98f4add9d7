package wecom

import (
	"errors"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

var (
	_ chat.ChannelChecker = (*Adapter)(nil)
	_ chat.Naming         = (*Adapter)(nil)
	_ chat.ChannelChecker = (*Robot)(nil)
	_ chat.Naming         = (*Robot)(nil)
)

// CheckChannel implements chat.ChannelChecker.
func (a *Adapter) CheckChannel(channel string) error {
	if !userID.MatchString(channel) {
		return fmt.Errorf("%.100q is no member's ID (账号), as the console shows it", channel)
	}
	return nil
}

// CheckConversation implements chat.Naming: a member's conversation is called
// as the member.
func (a *Adapter) CheckConversation(name string) error {
	if err := a.CheckChannel(name); err != nil {
		return err
	}
	return inSmallLetters(name)
}

// CheckSender implements chat.Naming.
func (a *Adapter) CheckSender(name string) error {
	corp, user, found := strings.Cut(name, "/")
	switch {
	case !found || corp != a.cfg.CorpID:
		return fmt.Errorf("%.100q is nobody of the company of this account: write %s/ and the member's ID (账号)", name, a.cfg.CorpID)
	case user == "*":
		return nil
	}
	return a.CheckConversation(user)
}

// inSmallLetters refuses capitals, of which a principal has none; see
// conversation.key.
func inSmallLetters(user string) error {
	if key := (conversation{User: user}).key(); key != user {
		return fmt.Errorf("%.100q must be in small letters, whatever the console shows: write %s", user, key)
	}
	return nil
}

// CheckChannel implements chat.ChannelChecker.
func (r *Robot) CheckChannel(channel string) error {
	if channel != groupChannel {
		return fmt.Errorf("%.100q is no channel of a group robot: the only one is %q", channel, groupChannel)
	}
	return nil
}

var errOnlySpeaks = errors.New("a group robot only speaks, and nobody can write to it; an application of WeCom (account: wecom) is written to")

// CheckSender implements chat.Naming.
func (r *Robot) CheckSender(string) error { return errOnlySpeaks }

// CheckConversation implements chat.Naming.
func (r *Robot) CheckConversation(string) error { return errOnlySpeaks }
