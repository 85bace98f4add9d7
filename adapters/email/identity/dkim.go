package identity

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/letserverrun/skadi/adapters/email/message"
)

const (
	// maxSignatures is how many signatures of one mail are looked at.
	maxSignatures = 8
	// maxKey is the length of the longest key record; a larger key costs time
	// and proves no more.
	maxKey = 4096
)

// signature is a DKIM-Signature field, as far as it decides something.
type signature struct {
	field  int // in Message.Fields
	domain string
	tags   map[string]string
	// key is b= in the one way to write it, so that it cannot be written in
	// another to get past what was seen already.
	key string
}

// signatures reads those of a mail, the topmost first. What cannot be read is
// left out: it proves nothing.
func signatures(m *message.Message) []signature {
	var all []signature
	for i, f := range m.Fields {
		if !f.Is("DKIM-Signature") {
			continue
		}
		if tags, ok := readTags(f.Value); ok {
			b, err := base64.StdEncoding.DecodeString(tags["b"])
			if err == nil && tags["d"] != "" && len(b) > 0 {
				all = append(all, signature{field: i, domain: normal(tags["d"]), tags: tags, key: base64.StdEncoding.EncodeToString(b)})
			}
		}
		if len(all) == maxSignatures {
			break
		}
	}
	return all
}

// readTags reads a list of tags (RFC 6376, 3.2), their values without white
// space. One that stands twice is an error.
func readTags(value string) (map[string]string, bool) {
	tags := map[string]string{}
	for part := range strings.SplitSeq(value, ";") {
		name, v, found := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if !found {
			if name != "" {
				return nil, false
			}
			continue
		}
		if _, twice := tags[name]; twice {
			return nil, false
		}
		tags[name] = strings.Join(strings.Fields(v), "")
	}
	return tags, true
}

// covered are the fields that a signature must cover, if they stand in the mail
// or not: what is not covered could be put in on the way.
var covered = []string{"From", "To", "Subject", "Date", "Message-ID"}

// lacks says what a signature leaves out or allows that it must not, or
// nothing. It does not say that the signature is right.
func (v *Verifier) lacks(s signature, m *message.Message) *Refusal {
	var signed []string
	for name := range strings.SplitSeq(s.tags["h"], ":") {
		signed = append(signed, strings.ToLower(name))
	}
	must := covered
	for _, name := range []string{"Cc", "Sender", "Reply-To"} {
		if m.Count(name) > 0 {
			must = append(slices.Clone(must), name)
		}
	}
	for _, name := range must {
		if !slices.Contains(signed, strings.ToLower(name)) {
			return refuse(NotCovered, "the signature of %s leaves out %s, which it must cover (Microsoft 365 signs so; see docs/email.md)", s.domain, name)
		}
	}
	if _, ok := s.tags["l"]; ok {
		return refuse(NotCovered, "the signature of %s covers only the beginning of the text (l=)", s.domain)
	}
	if a := s.tags["a"]; a != "rsa-sha256" && a != "ed25519-sha256" {
		return refuse(BadSignature, "the signature of %s is made with %q, which is not safe", s.domain, printable(a))
	}
	if x, ok := s.tags["x"]; ok {
		if at, ok := unix(x); !ok || v.now().After(at) {
			return refuse(BadSignature, "the signature of %s has run out", s.domain)
		}
	}
	if t, ok := s.tags["t"]; ok {
		if at, ok := unix(t); !ok || at.Sub(v.now()) > maxAge {
			return refuse(BadSignature, "the signature of %s is of another time", s.domain)
		}
	}
	return nil
}

func unix(s string) (time.Time, bool) {
	sec, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(sec, 0), err == nil && sec >= 0 && sec < 1<<40
}

// printable is for what goes into a log.
func printable(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return strings.ToValidUTF8(s, "?")
}

// signed checks the signatures of From's domain here.
func (v *Verifier) signed(ctx context.Context, raw []byte, m *message.Message) (Identity, error) {
	from := m.From[0].Domain
	all := signatures(m)
	if len(all) == 0 {
		return Identity{}, refuse(Unsigned, "it is not signed (DKIM); %s must sign what it sends", from)
	}
	// What to tell if none proves it: what passes by itself, or else what the
	// first of From's domain lacks.
	var refused, passing error
	for _, s := range all {
		ok, err := v.aligned(ctx, s.domain, from)
		switch {
		case err != nil:
			passing = err
			continue
		case !ok:
			continue
		}
		err = asError(v.lacks(s, m))
		if err == nil {
			err = v.right(ctx, raw, m, s)
		}
		switch {
		case err == nil:
			id := Identity{Proof: ByDKIM, Domain: s.domain, Signature: s.key}
			if t, ok := unix(s.tags["t"]); ok {
				id.SignedAt = t
			}
			return id, nil
		case errors.Is(err, errPassing):
			passing = err
		case refused == nil:
			refused = err
		}
	}
	switch {
	case passing != nil:
		return Identity{}, passing
	case refused != nil:
		return Identity{}, refused
	}
	return Identity{}, refuse(NotAligned, "it is signed by %s and From is of %s", all[0].domain, from)
}

// asError keeps a nil *Refusal from being an error.
func asError(r *Refusal) error {
	if r == nil {
		return nil
	}
	return r
}

// right checks one signature. The library is shown no other, so that it checks
// this one in the goroutine that calls it, where a panic can be caught.
func (v *Verifier) right(ctx context.Context, raw []byte, m *message.Message, s signature) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = refuse(BadSignature, "the signature of %s cannot be checked: %v", s.domain, p)
		}
	}()
	var failed error
	var flags []string
	lookup := func(name string) ([]string, error) {
		txt, err := v.txt(ctx, name)
		if passes(err) {
			failed = err
		}
		if err != nil {
			return nil, err
		}
		for _, record := range txt {
			if len(record) > maxKey {
				return nil, errors.New("the key is too long")
			}
			if tags, ok := readTags(record); ok {
				flags = append(flags, strings.Split(tags["t"], ":")...)
			}
		}
		return txt, nil
	}
	one := alone(raw, m, s.field)
	found, err := dkim.VerifyWithOptions(bytes.NewReader(one), &dkim.VerifyOptions{LookupTXT: lookup, MaxVerifications: 1})
	switch {
	case failed != nil:
		return fmt.Errorf("%w for the key of %s: %w", errPassing, s.domain, failed)
	case err != nil:
		return refuse(BadSignature, "the signature of %s cannot be checked: %v", s.domain, err)
	case len(found) != 1:
		return refuse(BadSignature, "the signature of %s cannot be checked", s.domain)
	case found[0].Err != nil:
		return refuse(BadSignature, "the signature of %s is not right: %v", s.domain, found[0].Err)
	case normal(found[0].Domain) != s.domain:
		return refuse(BadSignature, "the signature of %s reads as that of another", s.domain)
	case slices.Contains(flags, "y"):
		return refuse(BadSignature, "%s says that it only tests its signatures (t=y in its key)", s.domain)
	case slices.Contains(flags, "s") && !strings.EqualFold(afterAt(found[0].Identifier), found[0].Domain):
		return refuse(BadSignature, "the signature of %s is for a part of it, which its key does not allow", s.domain)
	}
	return nil
}

func afterAt(identifier string) string {
	return identifier[strings.LastIndexByte(identifier, '@')+1:]
}

// alone is the mail with that one signature. Should it cover another, it fails.
func alone(raw []byte, m *message.Message, field int) []byte {
	var b bytes.Buffer
	b.Grow(len(raw) + len(m.Fields))
	for i, f := range m.Fields {
		if i == field || !f.Is("DKIM-Signature") {
			b.WriteString(f.Raw)
		}
	}
	b.WriteString("\r\n")
	b.Write(body(raw))
	return b.Bytes()
}

// body is what follows the first empty line.
func body(raw []byte) []byte {
	for len(raw) > 0 {
		line, rest, found := bytes.Cut(raw, []byte("\n"))
		if !found {
			return nil
		}
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return rest
		}
		raw = rest
	}
	return nil
}
