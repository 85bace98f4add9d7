package official

import (
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

var _ chat.Naming = (*Adapter)(nil)

// CheckSender implements chat.Naming.
func (a *Adapter) CheckSender(name string) error {
	app, user, found := strings.Cut(name, "/")
	switch {
	case !found || app != a.cfg.AppID:
		return fmt.Errorf("%.100q is nobody whom this account knows: write %s/ and the OpenID of the person, which whoami tells", name, a.cfg.AppID)
	case user == "*":
		return nil
	}
	return a.CheckConversation(user)
}

// CheckConversation implements chat.Naming: the conversation with somebody is
// called by their OpenID.
func (a *Adapter) CheckConversation(name string) error {
	if !isID(name) {
		return fmt.Errorf("%.100q is no OpenID; whoami tells it", name)
	}
	return nil
}
