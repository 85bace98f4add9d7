package message

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-message/textproto"
)

// The limits of Parse. A mail over one of them is an error, for nothing that a
// person types to a server comes near them.
const (
	// MaxSize is the largest mail.
	MaxSize = 64 << 20
	// maxHeader and maxFields bound the mail's header, maxPartHeader that of
	// each part within.
	maxHeader     = 256 << 10
	maxPartHeader = 32 << 10
	maxFields     = 1000
	// maxDepth and maxParts bound what is packed into it.
	maxDepth = 16
	maxParts = 500
	// maxText is the longest text, as it is decoded.
	maxText = 1 << 20
	// maxAddresses and maxIDs bound the lists of a header.
	maxAddresses = 1000
	maxIDs       = 100
)

// Parse reads a mail. Its error is an *Error.
func Parse(raw []byte) (m *Message, err error) {
	if len(raw) > MaxSize {
		return nil, &Error{Text: fmt.Sprintf("it is larger than %d MiB", MaxSize>>20)}
	}
	head, body := split(raw)
	if err := sound(head); err != nil {
		return nil, err
	}
	h, err := readHeader(head, maxHeader)
	if err != nil {
		return nil, err
	}
	m = &Message{Kind: Ordinary}
	if err := m.header(mail.Header{Header: h}); err != nil {
		return nil, err
	}
	p := parser{m: m}
	root, err := p.part(h, body, 0)
	if err != nil {
		return nil, err
	}
	return m, p.contents(root)
}

// split cuts a mail, or a part of one, at its first empty line. The header
// keeps the line end of its last line.
func split(raw []byte) (header, body []byte) {
	for at := 0; at < len(raw); {
		line := raw[at:]
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			break
		}
		if end == 0 || end == 1 && line[0] == '\r' {
			return raw[:at], line[end+1:]
		}
		at += end + 1
	}
	return raw, nil
}

// sound refuses headers that two programs read as two different ones.
func sound(head []byte) error {
	if bytes.IndexByte(head, 0) >= 0 {
		return &Error{Text: "there is a null byte in its header"}
	}
	for at := 0; ; {
		cr := bytes.IndexByte(head[at:], '\r')
		if cr < 0 {
			return nil
		}
		at += cr + 1
		if at < len(head) && head[at] != '\n' {
			return &Error{Text: "there is a carriage return within a line of its header"}
		}
	}
}

// readHeader reads a header of at most most bytes.
func readHeader(head []byte, most int) (gomessage.Header, error) {
	if len(head) > most {
		return gomessage.Header{}, &Error{Text: fmt.Sprintf("a header is larger than %d KiB", most>>10)}
	}
	if bytes.Count(head, []byte("\n")) > 20*maxFields {
		return gomessage.Header{}, &Error{Text: "a header has too many lines"}
	}
	// The empty line is what tells the end of a header from a mail cut short.
	end := []byte("\r\n")
	if n := len(head); n > 0 && head[n-1] != '\n' {
		end = []byte("\r\n\r\n")
	}
	r := bufio.NewReader(bytes.NewReader(append(head[:len(head):len(head)], end...)))
	h, err := textproto.ReadHeader(r)
	if err != nil {
		// The library's error quotes the mail.
		return gomessage.Header{}, &Error{Text: "a header has a line that is no field"}
	}
	if h.Len() > maxFields {
		return gomessage.Header{}, &Error{Text: fmt.Sprintf("a header has more than %d fields", maxFields)}
	}
	return gomessage.Header{Header: h}, nil
}

// header takes over what the mail's header says.
func (m *Message) header(h mail.Header) error {
	for f := h.Fields(); f.Next(); {
		raw, err := f.Raw()
		if err != nil {
			return &Error{Text: "a field of its header cannot be read", Err: err}
		}
		// The name as it was written; the library changes its letters.
		name, _, _ := strings.Cut(string(raw), ":")
		m.Fields = append(m.Fields, Field{Name: strings.Trim(name, " \t"), Value: f.Value(), Raw: string(raw)})
	}
	m.From = m.addresses("From")
	m.Sender = m.addresses("Sender")
	m.ReplyTo = m.addresses("Reply-To")
	m.To = m.addresses("To")
	m.Cc = m.addresses("Cc")
	m.Subject = oneLine(decodeWords(m.Get("Subject")))

	if date, err := h.Date(); err == nil {
		m.Date = date
	} else {
		m.fault("Date", "is no date")
	}
	if v := m.Get("Message-ID"); v != "" {
		if ids := messageIDs(v); len(ids) == 1 {
			m.ID = ids[0]
		} else {
			m.fault("Message-ID", "is no message ID")
		}
	}
	m.InReplyTo = messageIDs(m.Get("In-Reply-To"))
	m.References = messageIDs(m.Get("References"))
	m.ListID = oneLine(m.Get("List-Id"))
	m.Precedence = strings.ToLower(oneLine(m.Get("Precedence")))
	auto, _, _ := strings.Cut(m.Get("Auto-Submitted"), ";")
	auto, _, _ = strings.Cut(auto, "(")
	m.AutoSubmitted = strings.ToLower(strings.TrimSpace(auto))
	m.envelope()
	return nil
}

// addresses returns those of all fields of that name.
func (m *Message) addresses(name string) []Address {
	var all []Address
	for _, f := range m.Fields {
		if !f.Is(name) || strings.TrimSpace(f.Value) == "" {
			continue
		}
		found, err := ParseAddresses(f.Value)
		if err != nil {
			m.fault(name, err.Error())
			continue
		}
		if all = append(all, found...); len(all) > maxAddresses {
			m.fault(name, fmt.Sprintf("has more than %d addresses", maxAddresses))
			return all[:maxAddresses]
		}
	}
	return all
}

// envelope takes over what the server wrote that delivered the mail.
func (m *Message) envelope() {
	const most = 20
	e := &m.Envelope
	if path := strings.TrimSpace(m.Get("Return-Path")); path == "<>" {
		e.Null = true
	} else if a, err := ParseAddresses(path); err == nil && len(a) == 1 {
		e.ReturnPath = a[0].String()
	}
	for _, f := range m.Fields {
		if !f.Is("Delivered-To") && !f.Is("X-Original-To") && !f.Is("Envelope-To") {
			continue
		}
		if a, err := ParseAddresses(f.Value); err == nil && len(e.DeliveredTo)+len(a) <= most {
			for _, one := range a {
				e.DeliveredTo = append(e.DeliveredTo, one.String())
			}
		}
	}
}

// messageIDs returns what looks like message IDs in a field, without brackets.
func messageIDs(value string) []string {
	var ids []string
	for len(ids) < maxIDs {
		_, after, found := strings.Cut(value, "<")
		if !found {
			break
		}
		id, rest, found := strings.Cut(after, ">")
		if !found {
			break
		}
		value = rest
		if isMessageID(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// isMessageID is wider than RFC 5322, as mailers are, and takes nothing that
// breaks a line, or that ends an ID early.
func isMessageID(id string) bool {
	at := strings.IndexByte(id, '@')
	if at < 1 || at == len(id)-1 || len(id) > 900 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

// fault notes what is wrong with a field.
func (m *Message) fault(field, text string) {
	m.Faults = append(m.Faults, Fault{Field: field, Text: text})
}

// single are the fields that must not stand twice in a mail that gives
// commands. Of two, nobody can tell which one a person was shown and which one
// was signed.
var single = []string{"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References"}

// Check returns what makes a mail unfit to give commands, as an *Error: From,
// Date or Message-ID missing or unreadable, Sender, Reply-To, To or Cc
// unreadable, or one of them or Subject, In-Reply-To or References standing
// twice. Nobody can tell then which of two a person was shown and which was
// signed.
func (m *Message) Check() error {
	for _, name := range single {
		if n := m.Count(name); n > 1 {
			return &Error{Text: fmt.Sprintf("%s stands in it %d times", name, n)}
		}
	}
	for _, f := range m.Faults {
		return &Error{Text: f.Field + " " + f.Text}
	}
	switch {
	case len(m.From) == 0:
		return &Error{Text: "it has no From"}
	case m.Date.IsZero():
		return &Error{Text: "it has no Date"}
	case m.ID == "":
		return &Error{Text: "it has no Message-ID"}
	}
	return nil
}
