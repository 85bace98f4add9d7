package access

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// TokenAccount is the account part of principals that are tokens.
const TokenAccount = "token"

const groupPrefix = "group:"

// maxPrincipal is the longest principal in bytes; mail addresses have up to
// 254.
const maxPrincipal = 512

var (
	accountName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)
	groupName   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
)

// reservedAccounts would make a principal or an audit record say something
// else than it means.
var reservedAccounts = []string{TokenAccount, "group", "agent", "skadi", "callback"}

// Principal is who sent a message, as rules write it: account:workspace/user,
// account:user where the channel has no workspaces, or token:NAME.
type Principal string

// ParsePrincipal checks the form of a principal. It allows no wildcards.
func ParsePrincipal(s string) (Principal, error) {
	account, user, found := strings.Cut(s, ":")
	switch {
	case !found:
		return "", fmt.Errorf("%q is not of the form account:workspace/user or account:user", s)
	case account == "group":
		return "", fmt.Errorf("%q is a group, where a principal is needed", s)
	case !accountName.MatchString(account):
		return "", fmt.Errorf("%q does not begin with the name of an adapter account", s)
	case user == "" || strings.HasPrefix(user, "/") || strings.HasSuffix(user, "/"):
		return "", fmt.Errorf("%q names no user after the account", s)
	case len(s) > maxPrincipal || !utf8.ValidString(s) || strings.ContainsFunc(user, notInID):
		return "", fmt.Errorf("%q is no user ID: it must be text of at most %d bytes without spaces, control characters and *", s, maxPrincipal)
	}
	return Principal(s), nil
}

// Account returns the adapter account that verified the principal, or
// "token".
func (p Principal) Account() string {
	account, _, _ := strings.Cut(string(p), ":")
	return account
}

// TokenPrincipal returns the principal of the token with that name.
func TokenPrincipal(name string) string { return TokenAccount + ":" + name }

// ValidAccount reports what is wrong with the name of an adapter account.
func ValidAccount(name string) error {
	if slices.Contains(reservedAccounts, name) {
		return fmt.Errorf("%q is reserved; choose another name", name)
	}
	if !accountName.MatchString(name) {
		return fmt.Errorf("%q must be 1 to 63 of a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends", name)
	}
	return nil
}

// notInID reports what no user or channel ID of a rule contains.
func notInID(r rune) bool { return r == ' ' || r == '*' || !plain(r) }

// people is a set of principals: some by name, and everybody of some accounts
// and workspaces.
type people struct {
	names map[string]bool
	// everyone holds "account" for account:* and "account:workspace" for
	// account:workspace/*.
	everyone map[string]bool
}

func newPeople() people {
	return people{names: map[string]bool{}, everyone: map[string]bool{}}
}

// add takes a principal, account:* or account:workspace/*.
func (p people) add(entry string) error {
	base, wild := strings.CutSuffix(entry, "*")
	if !wild {
		who, err := ParsePrincipal(entry)
		if err == nil {
			p.names[string(who)] = true
		}
		return err
	}
	of, byAccount := strings.CutSuffix(base, ":")
	if byAccount && accountName.MatchString(of) && of != "group" {
		p.everyone[of] = true
		return nil
	}
	of, byWorkspace := strings.CutSuffix(base, "/")
	if _, err := ParsePrincipal(of); byWorkspace && err == nil && !strings.Contains(of, "/") {
		p.everyone[of] = true
		return nil
	}
	return fmt.Errorf("in %q, the * must stand for all of account:* or account:workspace/*", entry)
}

func (p people) addAll(q people) {
	for name := range q.names {
		p.names[name] = true
	}
	for of := range q.everyone {
		p.everyone[of] = true
	}
}

func (p people) has(who string) bool {
	if p.names[who] {
		return true
	}
	if len(p.everyone) == 0 {
		return false
	}
	account, user, ok := strings.Cut(who, ":")
	if !ok || user == "" {
		return false
	}
	if p.everyone[account] {
		return true
	}
	workspace, _, ok := strings.Cut(who, "/")
	return ok && p.everyone[workspace]
}

func (p people) isEmpty() bool { return len(p.names)+len(p.everyone) == 0 }

// onlyHas reports whether nobody but who is in the set.
func (p people) onlyHas(who string) bool {
	return len(p.everyone) == 0 && len(p.names) == 1 && p.names[who]
}

// onlyTokens reports whether there is somebody in the set, and none of them is
// anything but a token.
func (p people) onlyTokens() bool {
	for _, set := range []map[string]bool{p.names, p.everyone} {
		for who := range set {
			if Principal(who).Account() != TokenAccount {
				return false
			}
		}
	}
	return !p.isEmpty()
}
