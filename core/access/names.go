package access

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

// CheckNames says which names of people and conversations in the rules can
// match nobody and nothing, as far as their account's adapter tells, and which
// approvers could never say so. The error joins a *FieldError for each. Names
// of accounts that adapter does not find are left alone.
func (r Rules) CheckNames(adapter func(account string) (chat.Adapter, bool)) error {
	n := naming{rules: r, adapter: adapter}
	for _, name := range slices.Sorted(maps.Keys(r.Groups)) {
		n.check("groups."+name, r.Groups[name], chat.Naming.CheckSender)
	}
	for i, one := range r.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		n.check(at+".who", one.Who, chat.Naming.CheckSender)
		n.check(at+".in", one.In, chat.Naming.CheckConversation)
		n.conversations(at+".in", one.In)
		n.check(at+".approval", one.Approval, chat.Naming.CheckSender)
		n.approvers(at+".approval", one.Approval)
	}
	return errors.Join(n.errs...)
}

// naming asks the adapters about the names in rules.
type naming struct {
	rules   Rules
	adapter func(account string) (chat.Adapter, bool)
	errs    []error
}

func (n *naming) fail(path, format string, args ...any) {
	n.errs = append(n.errs, &FieldError{Path: path, Detail: fmt.Sprintf(format, args...)})
}

// of returns the adapter of an entry's account, and what the entry says behind
// it. It is nil for tokens and groups.
func (n *naming) of(entry string) (a chat.Adapter, name string) {
	account, name, _ := strings.Cut(entry, ":")
	if slices.Contains(reservedAccounts, account) {
		return nil, name
	}
	a, _ = n.adapter(account)
	return a, name
}

func (n *naming) check(at string, entries []string, ask func(chat.Naming, string) error) {
	for i, e := range entries {
		a, name := n.of(e)
		if name == "" || name == "*" {
			continue
		}
		if Principal(e).Account() == TokenAccount && !tokenName.MatchString(name) {
			n.fail(fmt.Sprintf("%s[%d]", at, i), "%q can never match: no token can have the name %q", e, name)
		}
		knows, ok := a.(chat.Naming)
		if !ok {
			continue
		}
		if err := ask(knows, name); err != nil {
			n.fail(fmt.Sprintf("%s[%d]", at, i), "%q can never match: %v", e, err)
		}
	}
}

// conversations refuses those of accounts that have none.
func (n *naming) conversations(at string, entries []string) {
	for i, e := range entries {
		if account := Principal(e).Account(); slices.Contains(reservedAccounts, account) {
			n.fail(fmt.Sprintf("%s[%d]", at, i), "%q can never match: %s is no account of an adapter, and a rule with in holds in conversations alone; "+
				"without in it holds over the API, too", e, account)
		}
	}
}

// approvers refuses who approves nothing since no message says so: an entry of
// its own, and a group that holds nobody else.
func (n *naming) approvers(at string, entries []string) {
	for i, e := range entries {
		if Principal(e).Account() == TokenAccount {
			continue // New refuses it
		}
		members := []string{e}
		if group, isGroup := strings.CutPrefix(e, groupPrefix); isGroup {
			members = n.rules.Groups[group]
		}
		if len(members) > 0 && !slices.ContainsFunc(members, n.mayApprove) {
			n.fail(fmt.Sprintf("%s[%d]", at, i), "%q approves nothing: no rule of its adapter's makes a message that begins with %s; "+
				"name people of another account, such as work-slack:T0123/U0456", e, Approve)
		}
	}
}

func (n *naming) mayApprove(entry string) bool {
	if Principal(entry).Account() == TokenAccount {
		return false
	}
	a, _ := n.of(entry)
	scripted, ok := a.(chat.Scripted)
	return !ok || scripted.MayBegin(string(Approve))
}
