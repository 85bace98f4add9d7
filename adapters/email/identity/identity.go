// Package identity says who sent a mail, or refuses to. Only what a domain has
// signed, or what the reader's own mail server says that it has checked,
// proves anything; see [Verifier].
package identity

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/letserverrun/skadi/adapters/email/message"
)

// Reason is why a mail is refused; it never changes its meaning and is fit for
// a metric's label.
type Reason string

// The reasons.
const (
	// Malformed: a field that matters is missing, doubled or unreadable.
	Malformed Reason = "malformed"
	// SeveralSenders: From has several addresses.
	SeveralSenders Reason = "several_senders"
	// OtherSender: Sender is somebody else than From.
	OtherSender Reason = "other_sender"
	// ReplyElsewhere: Reply-To leads to somebody else than From.
	ReplyElsewhere Reason = "reply_elsewhere"
	// LookAlike: the address, or the name beside it, is made to look like
	// another one.
	LookAlike Reason = "look_alike"
	// Stale: Date is more than 24 hours away from now.
	Stale Reason = "stale"
	// NotAddressed: To and Cc do not name the inbox.
	NotAddressed Reason = "not_addressed"
	// Unsigned: nothing proves who sent it.
	Unsigned Reason = "unsigned"
	// BadSignature: it is signed, and no signature that counts is right.
	BadSignature Reason = "bad_signature"
	// NotCovered: the signature is right but leaves out what it must cover.
	NotCovered Reason = "not_covered"
	// NotAligned: what is proved is another domain than From's.
	NotAligned Reason = "not_aligned"
)

// Refusal is the error of Verify for a mail that proves nothing. It is for the
// log: a refused mail is not answered, since its sender may be forged.
type Refusal struct {
	Reason Reason
	// Text says what is wrong and how to mend it, in words for the operator.
	Text string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Text }

// Proof is how the sender was proved.
type Proof string

// The proofs.
const (
	// ByDKIM: a signature that was checked here.
	ByDKIM Proof = "dkim"
	// ByResults: Authentication-Results of the configured server.
	ByResults Proof = "authentication-results"
)

// Identity is who sent a mail.
type Identity struct {
	// Address is From's, normalised: the principal.
	Address string
	Name    string
	Proof   Proof
	// Domain is what was proved: the signature's d=, or the domain that DMARC
	// passed for.
	Domain string
	// Signature is b= of the signature, without white space; it is the same
	// whenever the same mail comes again, and another for each other mail. Empty
	// only where Verifier.Unsigned let an unsigned mail pass.
	Signature string
	// SignedAt is t= of the signature; zero if it has none.
	SignedAt time.Time
}

// LookupTXT asks the DNS for TXT records, one string for each record, as
// [net.Resolver.LookupTXT] does.
type LookupTXT func(ctx context.Context, name string) ([]string, error)

// Verifier says who sent a mail. Its fields are not changed once it is used;
// Verify may be called concurrently.
type Verifier struct {
	// TXT asks the DNS; nil: that of the system.
	TXT LookupTXT
	// Now is the clock; nil: that of the system.
	Now func() time.Time
	// Inbox says whether an address is one of this inbox, plus-address or not.
	// It is asked with what To and Cc say, and required.
	Inbox func(message.Address) bool
	// Results is whose Authentication-Results count besides the check that is
	// made here; nil: nobody's.
	Results *Results
}

// Results is a mail server whose word counts.
type Results struct {
	// AuthservID is what stands at the beginning of its
	// Authentication-Results, such as mx.example.com.
	AuthservID string
	// Hops is how many Received fields, from the top, servers of one's own
	// write, from the one that checks on; 0: 1. Only what stands above the next
	// Received counts.
	Hops int
	// Unsigned lets mail pass that is not signed, or whose signature leaves out
	// what it must cover, as that of Microsoft 365 does, where the server says
	// that DMARC passed and that the envelope sender is of the same domain (SPF).
	// Nothing then tells such a mail that comes again but its Message-ID. It is
	// off by default.
	Unsigned bool
}

// Verify says who sent m, whose bytes are raw: the mail that m was parsed from.
// The error is a *Refusal, or something passing such as a DNS that does not
// answer, after which the same mail should be tried again.
func (v *Verifier) Verify(ctx context.Context, raw []byte, m *message.Message) (Identity, error) {
	if r := v.header(m); r != nil {
		return Identity{}, r
	}
	from := m.From[0]
	id, err := v.signed(ctx, raw, m)
	if err != nil && v.Results != nil {
		told, other := v.told(ctx, m)
		if other == nil {
			id, err = told, nil
		} else {
			err = rather(err, other)
		}
	}
	if err != nil {
		return Identity{}, err
	}
	id.Address, id.Name = from.String(), from.Name
	return id, nil
}

// rather returns which of two errors to tell: what passes by itself first, and
// else what says more than that there is nothing.
func rather(own, told error) error {
	var a, b *Refusal
	switch {
	case !errors.As(own, &a):
		return own
	case !errors.As(told, &b):
		return told
	case b.Reason == Unsigned:
		return own
	}
	return told
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

func (v *Verifier) txt(ctx context.Context, name string) ([]string, error) {
	if v.TXT != nil {
		return v.TXT(ctx, name)
	}
	return net.DefaultResolver.LookupTXT(ctx, name)
}

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}
