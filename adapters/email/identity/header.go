package identity

import (
	"strings"
	"time"
	"unicode"

	"github.com/letserverrun/skadi/adapters/email/message"
)

// maxAge is how far a mail's Date may be from now.
const maxAge = 24 * time.Hour

// header refuses what no signature could make good.
func (v *Verifier) header(m *message.Message) *Refusal {
	if err := m.Check(); err != nil {
		return refuse(Malformed, "%s", err)
	}
	if len(m.From) != 1 {
		return refuse(SeveralSenders, "From has %d addresses; one person sends a command", len(m.From))
	}
	from := m.From[0]
	if r := lookAlike(from); r != nil {
		return r
	}
	for _, a := range m.Sender {
		if !same(a, from) {
			return refuse(OtherSender, "Sender is %s and From is %s; send it as yourself", a, from)
		}
	}
	for _, a := range m.ReplyTo {
		if !same(a, from) {
			return refuse(ReplyElsewhere, "Reply-To is %s and From is %s; take Reply-To out", a, from)
		}
	}
	if age := v.now().Sub(m.Date); age.Abs() > maxAge {
		return refuse(Stale, "its Date is %s, which is more than 24 hours from now", m.Date.UTC().Format(time.RFC3339))
	}
	for _, list := range [][]message.Address{m.To, m.Cc} {
		for _, a := range list {
			if v.Inbox(a) {
				return nil
			}
		}
	}
	return refuse(NotAddressed, "neither To nor Cc names this inbox; mail that came as Bcc or was redirected gives no commands")
}

func same(a, b message.Address) bool { return a.String() == b.String() }

// localBytes are what an address may have before its @. More is allowed by RFC
// 5321, in quotes, and then reads like something else.
const localBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+-/=?^_`{|}~"

// lookAlike refuses an address that people, or rules, could take for another.
func lookAlike(a message.Address) *Refusal {
	if strings.Trim(a.Local, localBytes) != "" || strings.HasPrefix(a.Local, ".") || strings.HasSuffix(a.Local, ".") || strings.Contains(a.Local, "..") {
		return refuse(LookAlike, "From has letters before its @ that only quotes or other scripts allow")
	}
	if strings.HasPrefix(a.Domain, "[") || !strings.Contains(a.Domain, ".") {
		return refuse(Malformed, "From has no domain that a signature could be of")
	}
	if why := confusing(a.Domain); why != "" {
		return refuse(LookAlike, "From's domain %s %s", a.Domain, why)
	}
	for _, r := range a.Name {
		if unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Cf, r) && r != '\u200d' && r != '\u200c' {
			return refuse(LookAlike, "the name beside %s has letters that nobody sees", a)
		}
	}
	// A person is shown the name alone.
	name := strings.ToLower(strings.NewReplacer("\uff20", "@", "\ufe6b", "@").Replace(a.Name))
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`<>()[]"',;:`, r) }) {
		if strings.Contains(word, "@") && strings.Contains(word, ".") && word != a.String() {
			return refuse(LookAlike, "the name beside %s is another address", a)
		}
	}
	return nil
}
