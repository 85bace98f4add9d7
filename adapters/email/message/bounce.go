package message

import (
	"bufio"
	"regexp"
	"strings"

	"github.com/emersion/go-message/textproto"
)

const (
	maxRecipients = 100
	maxDiagnostic = 500
)

// kind says what sort of mail it is, and reads a bounce.
func (p *parser) kind(root *part) error {
	switch report := strings.ToLower(root.params["report-type"]); {
	case root.kind == "multipart/report" && report == "disposition-notification":
		p.m.Kind = Receipt
		return nil
	case root.kind == "multipart/report":
		p.m.Kind = Bounced
		p.m.Bounce = &Bounce{}
		return p.report(root)
	case p.m.isOldBounce():
		p.m.Kind = Bounced
		p.m.Bounce = p.m.oldBounce(root)
		return nil
	case isCalendar(root, 0):
		p.m.Kind = Calendar
	}
	return nil
}

// isCalendar reports whether the mail itself is an invitation; a calendar file
// beside a text is an attachment as any other.
func isCalendar(q *part, depth int) bool {
	if q.kind == "text/calendar" {
		disposition, _, err := q.header.ContentDisposition()
		attached := err == nil && strings.EqualFold(disposition, "attachment")
		return q.params["method"] != "" || !attached && depth == 0
	}
	for _, child := range q.children {
		if isCalendar(child, depth+1) {
			return true
		}
	}
	return false
}

// report reads a delivery report (RFC 3464).
func (p *parser) report(root *part) error {
	for _, q := range root.children {
		switch q.kind {
		case "message/delivery-status", "message/global-delivery-status":
			s, err := decodeText(q)
			if err != nil {
				return err
			}
			p.m.Bounce.read(s)
		case "message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers":
			if p.m.Bounce.OriginalID == "" {
				p.m.Bounce.OriginalID = originalID(q)
			}
		}
	}
	return nil
}

// read reads the groups of fields of a delivery status: one about the report,
// and one for each recipient.
func (b *Bounce) read(status string) {
	r := bufio.NewReader(strings.NewReader(status))
	for groups := 0; len(b.Recipients) < maxRecipients && groups < 10*maxRecipients; groups++ {
		h, err := textproto.ReadHeader(r)
		if address := reported(h.Get("Final-Recipient")); address != "" {
			one := Recipient{
				Address:    address,
				Action:     strings.ToLower(oneLine(h.Get("Action"))),
				Status:     firstWord(h.Get("Status")),
				Diagnostic: short(oneLine(h.Get("Diagnostic-Code"))),
			}
			b.Failed = b.Failed || one.Action == "failed"
			b.Recipients = append(b.Recipients, one)
		}
		if err != nil {
			return // the end, or what is no field
		}
		if _, err := r.Peek(1); err != nil {
			return
		}
	}
}

// reported takes the address out of "rfc822; alice@example.com".
func reported(value string) string {
	_, address, found := strings.Cut(value, ";")
	if !found {
		address = value
	}
	a, err := ParseAddresses(strings.TrimSpace(address))
	if err != nil || len(a) != 1 {
		return ""
	}
	return a[0].String()
}

func firstWord(s string) string {
	if words := strings.Fields(oneLine(s)); len(words) > 0 {
		return short(words[0])
	}
	return ""
}

func short(s string) string {
	if len(s) <= maxDiagnostic {
		return s
	}
	return strings.ToValidUTF8(s[:maxDiagnostic], "")
}

// originalID reads the Message-ID of the mail that came back.
func originalID(q *part) string {
	s, err := decodeText(q)
	if err != nil {
		// A whole mail may be larger than a text; its header is in front.
		s = string(q.body[:min(len(q.body), maxHeader)])
	}
	head, _ := split([]byte(s))
	h, err := readHeader(head[:min(len(head), maxHeader)], maxHeader)
	if err != nil {
		return idIn(s)
	}
	if ids := messageIDs(h.Get("Message-Id")); len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// isOldBounce recognises what servers send that do not know RFC 3464.
func (m *Message) isOldBounce() bool {
	if m.Count("X-Failed-Recipients") > 0 {
		return true
	}
	if !m.Envelope.Null || len(m.From) != 1 {
		return false
	}
	local := strings.ToLower(m.From[0].Local)
	return local == "mailer-daemon" || local == "postmaster"
}

func (m *Message) oldBounce(root *part) *Bounce {
	b := &Bounce{Failed: true}
	if failed, err := ParseAddresses(m.Get("X-Failed-Recipients")); err == nil {
		for _, a := range failed[:min(len(failed), maxRecipients)] {
			b.Recipients = append(b.Recipients, Recipient{Address: a.String(), Action: "failed"})
		}
	}
	b.OriginalID = idIn(string(root.body[:min(len(root.body), maxHeader)]))
	if b.OriginalID == "" && len(m.InReplyTo) == 1 {
		b.OriginalID = m.InReplyTo[0]
	}
	return b
}

var idLine = regexp.MustCompile(`(?im)^[ >\t]*message-id:\s*(<[^<>\s]+>)`)

// idIn finds the Message-ID in the copy of a header within a text.
func idIn(s string) string {
	if found := idLine.FindStringSubmatch(s); found != nil {
		if ids := messageIDs(found[1]); len(ids) == 1 {
			return ids[0]
		}
	}
	return ""
}
