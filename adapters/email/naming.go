package email

import (
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/adapters/email/message"
	"github.com/letserverrun/skadi/core/chat"
)

var _ chat.Naming = (*Adapter)(nil)

// CheckSender implements chat.Naming: people are called by their address, as
// package identity normalises it.
func (a *Adapter) CheckSender(name string) error {
	at := strings.LastIndexByte(name, '@')
	if at < 1 || at == len(name)-1 {
		return fmt.Errorf("%.100q is no address, such as alice@example.com", name)
	}
	// An address that is written in quotes in a mail has none here, and is not
	// parsed; it is in small letters all the same.
	normal := strings.ToLower(name)
	if all, err := message.ParseAddresses(name); err == nil && len(all) == 1 {
		normal = all[0].String()
	}
	if name != normal {
		return fmt.Errorf("%.100q must be in small letters, and its domain in ASCII: write %s", name, normal)
	}
	return nil
}

// CheckConversation implements chat.Naming: everything comes to one mailbox.
func (a *Adapter) CheckConversation(name string) error {
	if own := a.inbox.local + "@" + a.inbox.domain; name != own {
		return fmt.Errorf("%.100q is not this mailbox: write %s", name, own)
	}
	return nil
}
