package identity

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/authres"

	"github.com/letserverrun/skadi/adapters/email/message"
)

// maxResults is the length of the longest Authentication-Results, and
// maxMethods how many results one may have.
const (
	maxResults = 16 << 10
	maxMethods = 50
)

// told takes the word of the configured server.
func (v *Verifier) told(ctx context.Context, m *message.Message) (Identity, error) {
	field, r := v.Results.find(m)
	if r != nil {
		return Identity{}, r
	}
	results, err := readResults(field.Value, v.Results.AuthservID)
	if err != nil {
		return Identity{}, refuse(Malformed, "Authentication-Results of %s cannot be read: %v", v.Results.AuthservID, err)
	}
	from := m.From[0].Domain
	passed, r := dmarcPassed(results, from)
	if r != nil {
		return Identity{}, r
	}
	found, err := v.toldSigned(ctx, m, results, passed)
	if err == nil {
		return found, nil
	}
	if v.Results.Unsigned && passed && spfPassed(results, from) {
		return Identity{Proof: ByResults, Domain: from}, nil
	}
	return Identity{}, err
}

// besides are the fields that may stand between the Received of one's own
// server and its results.
var besides = []string{"Received-SPF", "Authentication-Results", "DKIM-Filter", "X-Received", "Return-Path", "X-Spam-", "X-Rspamd-", "X-Virus-", "ARC-"}

// find returns the topmost results of the server that stand at the boundary:
// above the first Received that a stranger could have written, and directly
// below that of one's own if not above it.
func (r *Results) find(m *message.Message) (message.Field, *Refusal) {
	hops := max(r.Hops, 1)
	received := 0
	below := false // the last Received of one's own is above
	for _, f := range m.Fields {
		if f.Is("Received") {
			if received++; received > hops {
				break
			}
			below = received == hops
			continue
		}
		if f.Is("Authentication-Results") && isOf(f.Value, r.AuthservID) {
			return f, r.enough(m, hops)
		}
		if below && !slices.ContainsFunc(besides, func(name string) bool { return beginsWith(f.Name, name) }) {
			break
		}
	}
	if refused := r.enough(m, hops); refused != nil {
		return message.Field{}, refused
	}
	return message.Field{}, refuse(Unsigned, "%s has left no Authentication-Results at the top of it (authserv_id, authserv_hops)", r.AuthservID)
}

func (r *Results) enough(m *message.Message, hops int) *Refusal {
	if n := m.Count("Received"); n < hops {
		return refuse(Unsigned, "it has %d Received fields and one's own servers write %d (authserv_hops)", n, hops)
	}
	return nil
}

func beginsWith(name, prefix string) bool {
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// isOf reports whether results are of that server.
func isOf(value, id string) bool {
	plain, err := plainResults(value)
	if err != nil {
		return false
	}
	first, _, _ := strings.Cut(plain, ";")
	words := strings.Fields(first)
	return len(words) > 0 && strings.EqualFold(words[0], id)
}

// result is the result of one method.
type result struct {
	parsed     authres.Result
	properties map[string]string
}

// readResults reads the field. A result that cannot be read, or says a thing
// twice, proves nothing and is left out.
func readResults(value, id string) ([]result, error) {
	plain, err := plainResults(value)
	if err != nil {
		return nil, err
	}
	head, rest, _ := strings.Cut(plain, ";")
	var all []result
	for part := range strings.SplitSeq(rest, ";") {
		if len(all) == maxMethods {
			return nil, errors.New("it has too many results")
		}
		properties, ok := readProperties(part)
		if !ok {
			continue
		}
		got, parsed, err := authres.Parse(head + ";" + part)
		if err != nil || len(parsed) != 1 || !strings.EqualFold(got, id) {
			continue
		}
		all = append(all, result{parsed: parsed[0], properties: properties})
	}
	return all, nil
}

func readProperties(part string) (map[string]string, bool) {
	properties := map[string]string{}
	for word := range strings.FieldsSeq(part) {
		name, value, found := strings.Cut(word, "=")
		name = strings.ToLower(name)
		if !found {
			continue
		}
		if _, twice := properties[name]; twice {
			return nil, false
		}
		properties[name] = value
	}
	return properties, true
}

var (
	aroundEquals = regexp.MustCompile(`(^|[\s;])([A-Za-z][A-Za-z0-9._-]*)(?:\s*/\s*1)?\s*=\s*`)
	plainValue   = regexp.MustCompile(`^[A-Za-z0-9.@_+=/:-]*$`)
)

// plainResults takes out of the field what the library would misread: comments
// and quoted strings, in which whoever sent the mail may have put results of
// his own.
func plainResults(value string) (string, error) {
	if len(value) > maxResults {
		return "", errors.New("it is too long")
	}
	var b, quoted strings.Builder
	depth, inQuotes := 0, false
	for i := 0; i < len(value); i++ {
		c := value[i]
		escaped := c == '\\' && (depth > 0 || inQuotes)
		if escaped {
			if i++; i == len(value) {
				return "", errors.New("it ends in the middle")
			}
			c = value[i]
		}
		switch {
		case c < ' ' && c != '\t' || c == 0x7f:
			return "", errors.New("it has control characters")
		case inQuotes && c == '"' && !escaped:
			inQuotes = false
			if s := quoted.String(); plainValue.MatchString(s) {
				b.WriteString(s)
			} else {
				b.WriteString("?")
			}
			quoted.Reset()
		case inQuotes:
			quoted.WriteByte(c)
		case depth > 0:
			if c == '(' && !escaped {
				depth++
			} else if c == ')' && !escaped {
				depth--
			}
		case c == '(':
			depth = 1
			b.WriteByte(' ')
		case c == ')':
			return "", errors.New("it ends a comment that it has not begun")
		case c == '"':
			inQuotes = true
		default:
			b.WriteByte(c)
		}
	}
	if depth > 0 || inQuotes {
		return "", errors.New("it ends in the middle")
	}
	return aroundEquals.ReplaceAllString(b.String(), "$1$2="), nil
}

// dmarcPassed reports whether the server says that DMARC passed for From's
// domain. That it failed is a refusal, whatever else it says.
func dmarcPassed(results []result, from string) (bool, *Refusal) {
	passed := false
	for _, r := range results {
		d, ok := r.parsed.(*authres.DMARCResult)
		if !ok {
			continue
		}
		switch value := string(d.Value); value {
		case authres.ResultPass:
			if normal(afterAt(d.From)) != from {
				return false, refuse(NotAligned, "DMARC passed for another domain than From's, %s", from)
			}
			passed = true
		case "none", "bestguesspass":
		default:
			return false, refuse(BadSignature, "DMARC did not pass: %s", printable(value))
		}
	}
	return passed, nil
}

// spfPassed reports whether the envelope sender is proved and of From's
// organisation.
func spfPassed(results []result, from string) bool {
	for _, r := range results {
		s, ok := r.parsed.(*authres.SPFResult)
		if ok && s.Value == authres.ResultPass && s.From != "" && sameOrganisation(normal(afterAt(s.From)), from) {
			return true
		}
	}
	return false
}

// toldSigned finds the signature that the server says is right, and holds it to
// what one that is checked here is held to. Where several could be meant, each
// must be good enough.
func (v *Verifier) toldSigned(ctx context.Context, m *message.Message, results []result, dmarcPassed bool) (Identity, error) {
	from := m.From[0].Domain
	refused := error(refuse(Unsigned, "%s says of no signature that it is right", v.Results.AuthservID))
	for _, r := range results {
		d, ok := r.parsed.(*authres.DKIMResult)
		if !ok || d.Value != authres.ResultPass {
			continue
		}
		domain := normal(d.Domain)
		if domain == "" {
			domain = normal(afterAt(d.Identifier)) // Gmail names no other
		}
		if !sameOrganisation(domain, from) {
			refused = refuse(NotAligned, "it is signed by %s and From is of %s", printable(domain), from)
			continue
		}
		s, err := v.meant(m, r, d)
		if err != nil {
			refused = err
			continue
		}
		if !dmarcPassed {
			aligned, err := v.aligned(ctx, s.domain, from)
			if err != nil {
				return Identity{}, err
			}
			if !aligned {
				refused = refuse(NotAligned, "it is signed by %s and From is of %s, whose DMARC record does not allow that", s.domain, from)
				continue
			}
		}
		id := Identity{Proof: ByResults, Domain: s.domain, Signature: s.key}
		if t, ok := unix(s.tags["t"]); ok {
			id.SignedAt = t
		}
		return id, nil
	}
	return Identity{}, refused
}

// meant returns the topmost signature that a result can be about.
func (v *Verifier) meant(m *message.Message, r result, d *authres.DKIMResult) (signature, error) {
	var found []signature
	for _, s := range signatures(m) {
		about := d.Domain == "" || normal(d.Domain) == s.domain
		if d.Identifier != "" {
			i := s.tags["i"]
			if i == "" {
				i = "@" + s.domain
			}
			about = about && normal(afterAt(d.Identifier)) == normal(afterAt(i))
		}
		if selector := r.properties["header.s"]; selector != "" {
			about = about && strings.EqualFold(selector, s.tags["s"])
		}
		if b := r.properties["header.b"]; b != "" {
			about = about && strings.HasPrefix(s.tags["b"], b)
		}
		if about {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return signature{}, refuse(Unsigned, "the signature that %s says is right is not in it", v.Results.AuthservID)
	}
	for _, s := range found {
		if refused := v.lacks(s, m); refused != nil {
			return signature{}, refused
		}
	}
	return found[0], nil
}
