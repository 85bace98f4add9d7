// Package message reads a mail as strangers send it: raw bytes become a
// Message, or an error. It trusts nothing and decides nothing: who sent a mail
// is package identity's business, and what becomes of it the adapter's.
//
// Its cost is bounded whatever the mail looks like; see the limits beside
// [Parse].
package message

import (
	"strings"
	"time"
)

// Message is one mail.
type Message struct {
	// Fields is the whole header, the topmost field first.
	Fields []Field

	// From, Sender, ReplyTo, To and Cc are the addresses of those fields, those
	// of doubled fields together. A field that does not read as addresses is in
	// Faults, and has none.
	From, Sender, ReplyTo, To, Cc []Address
	// Subject is decoded, on one line.
	Subject string
	// Date is what the sender says; zero if it says nothing readable.
	Date time.Time
	// ID is the Message-ID without angle brackets; empty if there is none.
	ID string
	// InReplyTo and References are Message-IDs without angle brackets, at most
	// 100 of each; what does not look like one is left out.
	InReplyTo, References []string
	// ListID and Precedence are as in the header, the latter in small letters.
	ListID, Precedence string
	// AutoSubmitted is the keyword in small letters, without parameters.
	AutoSubmitted string
	// Envelope is what the server that delivered the mail says.
	Envelope Envelope

	Kind Kind
	// Bounce is set where Kind is Bounced.
	Bounce *Bounce

	// Text is what the sender wrote: plain text, without the mail that it
	// answers and without a signature, with \n at the end of each line but the
	// last. Empty if there is no text.
	Text string
	// Whole is Text with what was cut from it.
	Whole string
	// FromHTML says that the mail had no plain text, and Text is made of HTML.
	FromHTML bool
	// Attachments are all parts that are not its text, pictures within HTML
	// included.
	Attachments []Attachment

	// Faults are what is wrong with the header, in words for people: a field
	// that stands twice, an address that is none. Check says which matter.
	Faults []Fault
}

// Field is one field of the header.
type Field struct {
	// Name is as it was written.
	Name string
	// Value is unfolded and not decoded.
	Value string
	// Raw is the field as it came, with its line ends.
	Raw string
}

// Is reports whether the field has that name, in whatever letters.
func (f Field) Is(name string) bool { return strings.EqualFold(f.Name, name) }

// Get returns the value of the topmost field of that name, or nothing.
func (m *Message) Get(name string) string {
	for _, f := range m.Fields {
		if f.Is(name) {
			return f.Value
		}
	}
	return ""
}

// Count returns how many fields have that name.
func (m *Message) Count(name string) int {
	n := 0
	for _, f := range m.Fields {
		if f.Is(name) {
			n++
		}
	}
	return n
}

// Envelope is what a mail server writes above the mail when it delivers it.
// Anybody can write the same into a mail: it is a hint and proves nothing.
type Envelope struct {
	// ReturnPath is the envelope sender; empty if Null, or if none is given.
	ReturnPath string
	// Null says that the envelope sender is empty (<>), as that of a bounce is.
	Null bool
	// DeliveredTo are the addresses of Delivered-To, X-Original-To and
	// Envelope-To, normalised, the topmost first, at most 20.
	DeliveredTo []string
}

// Kind is what sort of mail it is.
type Kind string

// The kinds of mail.
const (
	Ordinary Kind = "ordinary"
	// Calendar is an invitation, or an answer to one.
	Calendar Kind = "calendar"
	// Bounced is a report about the delivery of another mail.
	Bounced Kind = "bounce"
	// Receipt says that a mail was read.
	Receipt Kind = "receipt"
)

// Bounce is what a delivery report (RFC 3464) says.
type Bounce struct {
	// Recipients are those that it is about, at most 100, normalised.
	Recipients []Recipient
	// OriginalID is the Message-ID of the mail that it is about, without angle
	// brackets; empty if the report does not have it.
	OriginalID string
	// Failed says that at least one delivery was given up for good.
	Failed bool
}

// Recipient is one recipient of a mail that a bounce is about.
type Recipient struct {
	Address string
	// Action is failed, delayed, delivered, relayed or expanded.
	Action string
	// Status is such as 5.1.1.
	Status string
	// Diagnostic is what the far server said, on one line, cut to 500 bytes.
	Diagnostic string
}

// Attachment is a part that is not the mail's text.
type Attachment struct {
	// Name is the file name without a path; empty if there is none.
	Name string
	// Type is the media type in small letters, such as image/png.
	Type string
	// Size is how many bytes it has when decoded.
	Size int
	// Inline says that the part belongs to the text, such as a logo in a
	// signature.
	Inline bool
}

// Fault is something wrong with the header.
type Fault struct {
	// Field is the field's usual name, such as Message-ID.
	Field string
	// Text says what is wrong, in words for people.
	Text string
}

// Error says why a mail cannot be read at all.
type Error struct {
	// Text says what is wrong, in words for people. It quotes nothing of the
	// mail's text.
	Text string
	Err  error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return "the mail cannot be read: " + e.Text + ": " + e.Err.Error()
	}
	return "the mail cannot be read: " + e.Text
}

// Unwrap returns what caused it.
func (e *Error) Unwrap() error { return e.Err }

// Paragraph returns the first paragraph of Text, with its lines joined.
func (m *Message) Paragraph() string {
	first, _, _ := strings.Cut(m.Text, "\n\n")
	return strings.Join(strings.Fields(first), " ")
}
