package message

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	gomessage "github.com/emersion/go-message"
)

// part is a leaf of a mail, or a multipart with what is in it.
type part struct {
	header   gomessage.Header
	kind     string // text/plain
	params   map[string]string
	body     []byte // as it came
	children []*part
}

type parser struct {
	m     *Message
	parts int
}

// part reads a part and what is in it. It copies nothing of the mail.
func (p *parser) part(h gomessage.Header, body []byte, depth int) (*part, error) {
	if p.parts++; p.parts > maxParts {
		return nil, &Error{Text: fmt.Sprintf("it has more than %d parts", maxParts)}
	}
	if depth > maxDepth {
		return nil, &Error{Text: fmt.Sprintf("its parts are packed into each other more than %d times", maxDepth)}
	}
	q := &part{header: h, body: body}
	q.kind, q.params = contentType(h)
	if !strings.HasPrefix(q.kind, "multipart/") {
		return q, nil
	}
	boundary := q.params["boundary"]
	if boundary == "" || len(boundary) > 256 {
		return nil, &Error{Text: "it has parts and does not say what stands between them"}
	}
	for _, raw := range p.between(body, boundary) {
		head, inner := split(raw)
		h, err := readHeader(head, maxPartHeader)
		if err != nil {
			return nil, err
		}
		child, err := p.part(h, inner, depth+1)
		if err != nil {
			return nil, err
		}
		q.children = append(q.children, child)
	}
	return q, nil
}

// between returns what stands between lines of boundary. One that is missing
// at the end is forgiven.
func (p *parser) between(body []byte, boundary string) (parts [][]byte) {
	mark := []byte("--" + boundary)
	start := -1
	for at := 0; at <= len(body) && len(parts)+p.parts <= maxParts; {
		i := bytes.Index(body[at:], mark)
		if i < 0 {
			break
		}
		i += at
		at = i + len(mark)
		if i > 0 && body[i-1] != '\n' {
			continue
		}
		line, _, _ := bytes.Cut(body[at:], []byte("\n"))
		rest := strings.TrimRight(string(line[:min(len(line), 80)]), " \t\r")
		if rest != "" && rest != "--" {
			continue // another boundary that begins alike
		}
		if start >= 0 {
			parts = append(parts, withoutLineEnd(body[start:i]))
		}
		if rest == "--" {
			return parts
		}
		at = min(at+len(line)+1, len(body))
		start = at
	}
	if start >= 0 {
		parts = append(parts, body[start:])
	}
	return parts
}

// withoutLineEnd takes off the line end that belongs to the boundary.
func withoutLineEnd(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// contentType returns the media type in small letters, and its parameters. What
// says none is text, as RFC 2045 has it; what cannot be read is a file.
func contentType(h gomessage.Header) (string, map[string]string) {
	if strings.TrimSpace(h.Get("Content-Type")) == "" {
		return "text/plain", nil
	}
	kind, params, err := h.ContentType()
	if err != nil {
		kind, _, _ = strings.Cut(kind, ";")
		kind = strings.ToLower(strings.TrimSpace(kind))
	}
	if kind == "text" {
		return "text/plain", params // mailers of old say so
	}
	if err == nil {
		return kind, params
	}
	if strings.HasPrefix(kind, "text/") && !strings.ContainsAny(kind, " \t") {
		return kind, nil
	}
	return "application/octet-stream", nil
}

// contents takes over what the parts hold.
func (p *parser) contents(root *part) error {
	if err := p.kind(root); err != nil {
		return err
	}
	found, err := p.text(root)
	if err != nil {
		return err
	}
	m := p.m
	if found.html {
		m.FromHTML = true
		m.Whole = htmlText(found.text, false)
		m.Text = cut(htmlText(found.text, true))
	} else {
		m.Whole = trimLines(found.text)
		m.Text = cut(m.Whole)
	}
	return nil
}

// text is what a part says.
type text struct {
	text string
	html bool
}

func (t text) empty() bool { return strings.TrimSpace(t.text) == "" }

// text returns the text of a part and notes the attachments within.
func (p *parser) text(q *part) (text, error) {
	switch {
	case q.kind == "multipart/alternative":
		return p.alternative(q)
	case strings.HasPrefix(q.kind, "multipart/"):
		return p.mixed(q)
	case p.isText(q):
		s, err := decodeText(q)
		return text{text: s, html: q.kind == "text/html"}, err
	}
	return text{}, p.attachment(q)
}

// isText reports whether a part is what its sender wrote, rather than a file.
func (p *parser) isText(q *part) bool {
	disposition, params, err := q.header.ContentDisposition()
	named := params["filename"] != "" || q.params["name"] != ""
	if err == nil && (strings.EqualFold(disposition, "attachment") || named) {
		return false
	}
	return q.kind == "text/plain" || q.kind == "text/html"
}

// alternative prefers plain text, if there is any in it.
func (p *parser) alternative(q *part) (text, error) {
	var best text
	for _, child := range q.children {
		found, err := p.text(child)
		if err != nil {
			return text{}, err
		}
		if !found.empty() && (best.empty() || best.html && !found.html) {
			best = found
		}
	}
	return best, nil
}

// mixed joins the texts that stand beside each other, as Apple Mail writes
// them around pictures. Of HTML only the first counts.
func (p *parser) mixed(q *part) (text, error) {
	var all text
	for _, child := range q.children {
		found, err := p.text(child)
		switch {
		case err != nil:
			return text{}, err
		case found.empty():
		case all.empty():
			all = found
		case !all.html && !found.html:
			all.text = strings.TrimRight(all.text, "\r\n") + "\n" + found.text
		case all.html && !found.html:
			// A footer that a list or a virus scanner added.
		}
		if len(all.text) > maxText {
			return text{}, errLongText
		}
	}
	return all, nil
}

// noFiles are parts that are no files to whoever sent them.
var noFiles = map[string]bool{
	"application/pgp-signature": true, "application/pkcs7-signature": true, "application/x-pkcs7-signature": true,
	"application/pgp-encrypted": true, "text/calendar": true,
	"message/delivery-status": true, "message/global-delivery-status": true, "message/disposition-notification": true,
}

func (p *parser) attachment(q *part) error {
	if noFiles[q.kind] {
		return nil
	}
	size, err := decodedSize(q)
	if err != nil {
		return err
	}
	disposition, params, _ := q.header.ContentDisposition()
	name := params["filename"]
	if name == "" {
		name = q.params["name"]
	}
	inline := !strings.EqualFold(disposition, "attachment") && q.header.Get("Content-Id") != ""
	p.m.Attachments = append(p.m.Attachments, Attachment{Name: fileName(name), Type: q.kind, Size: size, Inline: inline})
	return nil
}

// fileName is a name's last element, of whatever system.
func fileName(name string) string {
	name = oneLine(decodeWords(name))
	name = path.Base("/" + strings.ReplaceAll(name, `\`, "/"))
	if name == "/" || name == "." || name == ".." {
		return ""
	}
	const most = 255
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "")
	}
	return name
}
