package terminal

import (
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

var _ chat.Naming = (*Adapter)(nil)

// CheckSender implements chat.Naming. Where the config does not say who types,
// whoever runs the server does, and that need not be who checks its config.
func (a *Adapter) CheckSender(name string) error {
	switch {
	case strings.Contains(name, "/"):
		return fmt.Errorf("%.100q has a workspace, and a terminal has none: write the user alone", name)
	case !a.anybody && name != a.cfg.User:
		return fmt.Errorf("%.100q is not who types there: write %s", name, a.cfg.User)
	}
	return nil
}

// CheckConversation implements chat.Naming.
func (a *Adapter) CheckConversation(name string) error {
	if name != conversationKey {
		return fmt.Errorf("%.100q is no conversation: the only one of a terminal is %q", name, conversationKey)
	}
	return nil
}
