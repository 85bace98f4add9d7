package teams

import (
	"fmt"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

var (
	_ chat.ChannelChecker = (*Adapter)(nil)
	_ chat.Naming         = (*Adapter)(nil)
)

// CheckChannel implements chat.ChannelChecker.
func (a *Adapter) CheckChannel(channel string) error {
	if len(channel) > maxPlace {
		return fmt.Errorf("%.100q… is too long for the ID of a channel or chat", channel)
	}
	return a.CheckConversation(channel)
}

// CheckConversation implements chat.Naming. The IDs of test peers are of any
// form.
func (a *Adapter) CheckConversation(name string) error {
	switch {
	case strings.Contains(name, threadMark):
		return fmt.Errorf("%.100q is a thread: write the channel's ID alone, what stands before %s", name, threadMark)
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }),
		!a.cfg.UnauthenticatedLoopback && !strings.Contains(name, ":"):
		return fmt.Errorf("%.100q is no ID of a channel or chat, such as 19:…@thread.tacv2; it stands in the channel's link, "+
			"where %%3a is the colon and %%40 the @", name)
	}
	return nil
}

// CheckSender implements chat.Naming. What Entra calls people and tenants is
// compared in small letters.
func (a *Adapter) CheckSender(name string) error {
	tenant, user, found := strings.Cut(name, "/")
	tenants := a.cfg.tenants()
	switch lower := strings.ToLower(name); {
	case !found:
		return fmt.Errorf("%.100q is not of the form tenant/object, by the IDs that Entra shows of the tenant and the person; whoami tells them", name)
	case !slices.Contains(tenants, strings.ToLower(tenant)):
		return fmt.Errorf("%.100q is no tenant whose people may write: the tenants are %s", tenant, strings.Join(tenants, ", "))
	case user != "*" && !a.cfg.UnauthenticatedLoopback && !guid.MatchString(user):
		return fmt.Errorf("%.100q is no person's object ID, such as 5b2d0c3e-8f41-4a6b-9d27-1c0e5f7a9b13; Entra shows it, and whoami tells it", user)
	case name != lower:
		return fmt.Errorf("%.100q must be in small letters: write %s", name, lower)
	}
	return nil
}
