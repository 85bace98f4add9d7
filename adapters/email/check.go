package email

import (
	"net"
	"net/url"
	"strings"
)

// longestLocal is how long the local part of an address may be:
// https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.1
const longestLocal = 64

// checkAddress says what is wrong with an address of ours, or nothing. It is
// one that needs no quotes and has no plus-address of its own.
func checkAddress(address string) string {
	local, domain, ok := strings.Cut(address, "@")
	switch {
	case address == "":
		return "is empty; it is the address of the inbox, such as inbox@example.com"
	case !ok || local == "" || strings.ContainsFunc(local, notDotAtom) || !isDomain(domain):
		return "must be an address such as inbox@example.com"
	case strings.Contains(local, "+"):
		return "must not have a + in it, which is for the names of agents"
	case len(local)+len(bounceTag("", ""))+hashLength+macLength > longestLocal:
		return "is too long before the @ for the envelope senders that are made of it"
	}
	return ""
}

// isDomain reports whether s is a domain in ASCII with at least one dot, or
// localhost.
func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	if len(s) > 253 || len(labels) < 2 && !strings.EqualFold(s, "localhost") {
		return false
	}
	for _, label := range labels {
		if label == "" || strings.Trim(label, "-") != label || strings.ContainsFunc(label, func(r rune) bool { return r != '-' && !alphanumeric(r) }) {
			return false
		}
	}
	return true
}

func alphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// notDotAtom reports whether r cannot stand in a local part without quotes, or
// would look odd there.
func notDotAtom(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("._-+", r) }

// notAtom reports whether r cannot stand in an IMAP keyword.
func notAtom(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r) }

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7f }

// checkURL says what is wrong with an address that secrets are sent to. It does
// not repeat the address, which may contain a password.
func checkURL(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return "is empty; it is where tokens are given out"
	case err != nil || u.Host == "":
		return "is not a URL such as https://login.example.com/token"
	case u.User != nil || u.Fragment != "":
		return "must not have a user or a fragment"
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return ""
	}
	return "must begin with https://, for secrets are sent there; http:// is allowed for this machine only"
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
