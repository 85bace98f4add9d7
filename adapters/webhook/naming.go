package webhook

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

var (
	_ chat.Naming   = (*Adapter)(nil)
	_ chat.Scripted = (*Adapter)(nil)
)

// CheckSender implements chat.Naming.
func (a *Adapter) CheckSender(name string) error {
	if name != User {
		return fmt.Errorf("%.100q is nobody: everything that comes by this account is of %s:%s", name, a.env.Account, User)
	}
	return nil
}

// CheckConversation implements chat.Naming: what comes from a repository is
// called by it, and all else alike.
func (a *Adapter) CheckConversation(name string) error {
	switch repos := a.cfg.Provider == GitHub || a.cfg.Provider == GitLab; {
	case name == silent:
		return nil
	case !repos:
		return fmt.Errorf("%.100q is no conversation: all that %s sends comes from %q", name, a.cfg.Provider, silent)
	case !isRepo(name):
		return fmt.Errorf("%.100q is no repository, such as owner/name", name)
	}
	return nil
}

// MayBegin implements chat.Scripted, as far as the templates tell: what stands
// before their first action.
func (a *Adapter) MayBegin(word string) bool {
	return slices.ContainsFunc(a.cfg.Rules, func(r Rule) bool {
		text, _, acts := strings.Cut(r.Send, "{{")
		words := strings.Fields(text)
		// The first may be Skadi's name, the last be only begun, and core reads
		// letters of other forms, too.
		if n := len(words); acts && (n < 2 || n == 2 && strings.HasSuffix(text, words[1])) {
			return true
		}
		return slices.ContainsFunc(words[:min(2, len(words))], func(w string) bool {
			return strings.Contains(strings.ToLower(w), word) || strings.ContainsFunc(w, func(r rune) bool { return r >= utf8.RuneSelf })
		})
	})
}
