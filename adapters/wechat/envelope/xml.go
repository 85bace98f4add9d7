package envelope

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// MaxBody is far more than the longest callback, in bytes.
	MaxBody = 256 << 10
	// maxDepth and maxElements bound a document.
	maxDepth    = 6
	maxElements = 500
)

// ReadBody reads a body to its end, and no more than MaxBody of it.
func ReadBody(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the body cannot be read to its end: %w", err)
	case len(body) > MaxBody:
		return nil, fmt.Errorf("%w: at most %d bytes are read", ErrTooLong, MaxBody)
	}
	return body, nil
}

// Fields are the elements of a callback by their names. Those in others are
// named by the path below the root, such as TemplateCardEvent/Key; of several
// with one path the first is kept.
type Fields map[string]string

// Int returns a number of 64 bits. A field that is not there is 0.
func (f Fields) Int(name string) (int64, error) {
	text := strings.TrimSpace(f[name])
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is %.40q, want a number", ErrXML, name, text)
	}
	return n, nil
}

// Parse reads the XML of a callback: one element xml with elements in it, which
// hold text or further elements. It refuses what such a document never has:
// document types, entities of its own, instructions, a second root, an element
// of the first level twice, and more or deeper elements than there can be.
func Parse(body []byte) (Fields, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("%w: at most %d bytes are read", ErrTooLong, MaxBody)
	}
	p := parser{dec: xml.NewDecoder(bytes.NewReader(body)), fields: Fields{}}
	p.dec.Entity = map[string]string{}
	for {
		token, err := p.dec.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: it cannot be read at byte %d", ErrXML, p.dec.InputOffset())
		}
		if err := p.take(token); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrXML, err)
		}
	}
	if !p.closed {
		return nil, fmt.Errorf("%w: it has no element xml, or ends in the middle", ErrXML)
	}
	return p.fields, nil
}

type parser struct {
	dec      *xml.Decoder
	fields   Fields
	path     []string // of the open elements
	text     []*strings.Builder
	parent   []bool // which of them have elements in them
	elements int
	closed   bool // the root is
}

func (p *parser) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return p.open(t)
	case xml.EndElement:
		return p.close(t)
	case xml.CharData:
		if len(p.path) > 0 {
			p.text[len(p.path)-1].Write(t)
		} else if len(bytes.TrimSpace(bytes.TrimPrefix(t, []byte("\ufeff")))) > 0 {
			return errors.New("there is text outside of the root")
		}
	case xml.ProcInst:
		if t.Target != "xml" || p.elements > 0 {
			return errors.New("it has a processing instruction")
		}
	case xml.Directive:
		return errors.New("it has a document type")
	case xml.Comment:
	}
	return nil
}

func (p *parser) open(t xml.StartElement) error {
	name := t.Name.Local
	p.elements++
	switch {
	case p.closed:
		return errors.New("it has a second root")
	case len(p.path) == 0 && name != "xml":
		return errors.New("its root is not xml")
	case t.Name.Space != "" || len(t.Attr) > 0:
		return errors.New("an element has a namespace or an attribute")
	case len(p.path) == maxDepth:
		return fmt.Errorf("its elements are deeper than %d", maxDepth)
	case p.elements > maxElements:
		return fmt.Errorf("it has more than %d elements", maxElements)
	}
	if len(p.path) > 0 {
		p.parent[len(p.path)-1] = true
	}
	p.path, p.text, p.parent = append(p.path, name), append(p.text, &strings.Builder{}), append(p.parent, false)
	return nil
}

func (p *parser) close(t xml.EndElement) error {
	last := len(p.path) - 1
	if last < 0 || t.Name.Space != "" || p.path[last] != t.Name.Local {
		return errors.New("an element ends that is not open")
	}
	text := p.text[last].String()
	name := strings.Join(p.path[1:], "/")
	parent := p.parent[last]
	p.path, p.text, p.parent = p.path[:last], p.text[:last], p.parent[:last]
	if last == 0 {
		p.closed = true
		if !parent && strings.TrimSpace(text) != "" {
			return errors.New("its root has text alone")
		}
		return nil
	}
	if _, again := p.fields[name]; again {
		if last == 1 {
			return errors.New("an element stands twice")
		}
		return nil
	}
	if parent {
		text = ""
	}
	p.fields[name] = text
	return nil
}

// CDATA returns text as a section of XML that holds anything. What XML cannot
// hold at all becomes U+FFFD.
func CDATA(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 {
			return r
		}
		return '\ufffd'
	}, text)
	return "<![CDATA[" + strings.ReplaceAll(text, "]]>", "]]]]><![CDATA[>") + "]]>"
}
