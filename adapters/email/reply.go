package email

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wneessen/go-mail"

	"github.com/letserverrun/skadi/adapters/email/message"
	"github.com/letserverrun/skadi/core/chat"
)

const (
	// maxText is the longest text of a mail, in bytes; longer output is
	// attached.
	maxText = 20_000
	// quoteLines and quoteBytes bound what is quoted of the asker's mail.
	quoteLines = 4
	quoteBytes = 400
	// subjectBytes is the longest subject that is repeated.
	subjectBytes = 200
	// maxReferences is how many Message-IDs of the thread are repeated, and
	// idBytes how long one may be: a line ends at 998 bytes.
	maxReferences = 20
	idBytes       = 250
	fileNameBytes = 100
)

// origin is what answers to a mail need of it. It is kept in
// ConversationRef.Data.
type origin struct {
	To         string    `json:"to"`
	ID         string    `json:"id,omitempty"`
	References []string  `json:"references,omitempty"`
	Subject    string    `json:"subject,omitempty"`
	Quote      string    `json:"quote,omitempty"`
	At         time.Time `json:"at,omitzero"`
}

// originOf notes what answers need of a mail. Of what stands in it only what is
// harmless in a header is kept.
func originOf(m *message.Message, to string) origin {
	o := origin{To: to, Subject: subjectOf(m.Subject), Quote: quoteOf(m.Text), At: m.Date.UTC()}
	if isID(m.ID) {
		o.ID = m.ID
	}
	refs := m.References
	if len(refs) == 0 {
		refs = m.InReplyTo[:min(len(m.InReplyTo), 1)]
	}
	for _, id := range refs {
		if isID(id) && id != o.ID {
			o.References = append(o.References, id)
		}
	}
	if n := len(o.References); n > maxReferences { // the first one, and those nearest
		o.References = slices.Concat(o.References[:1], o.References[n-maxReferences+1:])
	}
	return o
}

// root is the first mail of the thread.
func (o origin) root() string {
	if len(o.References) > 0 {
		return o.References[0]
	}
	return o.ID
}

// isID reports whether a Message-ID may stand in a header of ours.
func isID(id string) bool {
	return id != "" && len(id) <= idBytes && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' })
}

// subjectOf is the subject that answers have behind "Re:".
func subjectOf(subject string) string {
	subject = oneLine(chat.Readable(subject))
	for {
		at := answering.FindStringIndex(subject)
		if at == nil {
			break
		}
		subject = strings.TrimSpace(subject[at[1]:])
	}
	return clip(subject, subjectBytes)
}

// quoteOf is the beginning of a mail.
func quoteOf(text string) string {
	lines := strings.Split(strings.TrimSpace(chat.Readable(text)), "\n")
	more := len(lines) > quoteLines
	short := clip(strings.Join(lines[:min(len(lines), quoteLines)], "\n"), quoteBytes)
	if more && !strings.HasSuffix(short, "…") {
		short += "\n…"
	}
	return short
}

// clip cuts text to most bytes at a rune's border and marks the cut.
func clip(text string, most int) string {
	const mark = "…"
	if len(text) <= most {
		return text
	}
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

// letter is one reply.
type letter struct {
	from   string // the inbox's address
	id     string // its Message-ID without angle brackets
	origin origin
	text   string
	hint   string // what the asker can do next
	files  []chat.File
	at     time.Time
}

// readOrigin reads back what was kept.
func readOrigin(ref chat.ConversationRef) (origin, error) {
	var o origin
	if err := json.Unmarshal(ref.Data, &o); err != nil {
		return o, fmt.Errorf("the reference of the conversation cannot be read: %w", err)
	}
	if !isRecipient(o.To) {
		return o, fmt.Errorf("the reference of the conversation names nobody to write to")
	}
	return o, nil
}

// isRecipient reports whether mail can be handed in for an address: one that
// cannot be taken for more than an address in a header or a command.
func isRecipient(address string) bool {
	at := strings.LastIndexByte(address, '@')
	return at > 0 && at < len(address)-1 && len(address) <= 320 && utf8.ValidString(address) &&
		!strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`<>,;:\"()[]`, r) })
}

// hintOf says what an answer to a mail about a job can do.
func hintOf(m chat.Outbound) string {
	switch {
	case m.Card == nil:
		return ""
	case m.Card.Final:
		return "Answer this mail with “rerun” to run #" + m.Card.Code + " again, or “why” for its history."
	}
	return "Answer this mail with “cancel” to stop #" + m.Card.Code + "."
}

// folded is a field whose value begins on the second line. That is allowed, and
// some programs do not find a Message-ID there.
var folded = regexp.MustCompile(`(?m)^([A-Za-z-]+):\r\n `)

// bytes returns the mail as it is sent.
func (l letter) bytes() ([]byte, error) {
	m, err := l.compose()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		return nil, err
	}
	header, body, _ := bytes.Cut(b.Bytes(), []byte("\r\n\r\n"))
	return slices.Concat(folded.ReplaceAll(header, []byte("$1: ")), []byte("\r\n\r\n"), body), nil
}

func (l letter) compose() (*mail.Msg, error) {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithCharset(mail.CharsetUTF8), mail.WithEncoding(mail.EncodingQP))
	if err := m.FromFormat("Skadi", l.from); err != nil {
		return nil, fmt.Errorf("the sender %q: %w", l.from, err)
	}
	if err := m.To(l.origin.To); err != nil {
		return nil, fmt.Errorf("the recipient %q: %w", l.origin.To, err)
	}
	m.Subject(strings.TrimSpace("Re: " + plainSubject(l.origin.Subject)))
	m.SetDateWithValue(l.at)
	m.SetMessageIDWithValue(l.id)
	m.SetGenHeader("Auto-Submitted", "auto-replied")
	m.SetGenHeader("X-Auto-Response-Suppress", "All") // Exchange's
	if l.origin.ID != "" {
		m.SetGenHeader(mail.HeaderInReplyTo, "<"+l.origin.ID+">")
	}
	var refs []string
	for _, id := range l.origin.References {
		refs = append(refs, "<"+id+">")
	}
	if l.origin.ID != "" {
		refs = append(refs, "<"+l.origin.ID+">")
	}
	if len(refs) > 0 {
		m.SetGenHeader(mail.HeaderReferences, strings.Join(refs, " "))
	}
	m.SetBodyString(mail.TypeTextPlain, l.plain())
	m.AddAlternativeString(mail.TypeTextHTML, l.html())
	for _, f := range l.files {
		m.AttachReadSeeker(fileName(f.Name), strings.NewReader(f.Text), mail.WithFileContentType("text/plain; charset=utf-8"))
	}
	return m, nil
}

// plainSubject takes out what would be read as an encoded word.
func plainSubject(subject string) string { return strings.ReplaceAll(subject, "=?", "= ?") }

// intro stands above what is quoted.
func (l letter) intro() string {
	if l.origin.At.IsZero() {
		return l.origin.To + " wrote:"
	}
	return "On " + l.origin.At.UTC().Format("2 January 2006, 15:04 UTC") + ", " + l.origin.To + " wrote:"
}

func (l letter) plain() string {
	var b strings.Builder
	b.WriteString(chat.Readable(l.text))
	if l.hint != "" {
		b.WriteString("\n\n" + l.hint)
	}
	if l.origin.Quote != "" {
		b.WriteString("\n\n" + l.intro())
		for line := range strings.SplitSeq(l.origin.Quote, "\n") {
			b.WriteString("\n> " + line)
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// html shows the same. Nothing in it is a link, and nothing is fetched.
func (l letter) html() string {
	text := func(s string) string { return html.EscapeString(chat.Readable(s)) }
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html><body>\n")
	fmt.Fprintf(&b, "<pre style=\"white-space:pre-wrap;font-family:monospace\">%s</pre>\n", text(l.text))
	if l.hint != "" {
		fmt.Fprintf(&b, "<p>%s</p>\n", text(l.hint))
	}
	if l.origin.Quote != "" {
		fmt.Fprintf(&b, "<p>%s</p>\n<blockquote style=\"margin:0 0 0 1ex;border-left:1px solid #ccc;padding-left:1ex;white-space:pre-wrap\">%s</blockquote>\n",
			text(l.intro()), text(l.origin.Quote))
	}
	b.WriteString("</body></html>\n")
	return b.String()
}

var oddInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// fileName is a name that means the same everywhere.
func fileName(name string) string {
	name = strings.TrimLeft(oddInNames.ReplaceAllString(name, "_"), ".")
	if name == "" {
		return "output.txt"
	}
	return name[max(len(name)-fileNameBytes, 0):]
}
