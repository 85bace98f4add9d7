// Package output turns what a program prints into text that can be shown
// anywhere, and keeps a bounded part of it.
package output

import (
	"unicode/utf8"
)

// maxSequence is the longest terminal sequence, in bytes. A longer one is
// none, so that a stray escape does not swallow all that follows.
const maxSequence = 4096

// Cleaner makes valid UTF-8 without control characters of a stream, however
// it is split: bytes that are no UTF-8 become U+FFFD, terminal sequences
// (colours, cursor movements, titles) are dropped, and so are control
// characters other than tab and newline. A carriage return becomes a newline
// unless one follows, so that each state of a progress bar has its own line.
//
// The zero value is ready to use. It is not safe for concurrent use.
type Cleaner struct {
	partial []byte // the beginning of a rune
	state   cleanState
	length  int  // of the sequence so far
	cr      bool // a carriage return waits for what follows
}

type cleanState int

const (
	ground   cleanState = iota
	escape              // after ESC
	charset             // after ESC and an intermediate byte
	control             // a control sequence: ESC [ … letter
	str                 // a string: ESC ] … BEL or ESC \
	strAfter            // in a string, after ESC
)

// Add appends to dst the clean form of p and returns it. A rune or a
// sequence that p begins and does not end is held back.
func (c *Cleaner) Add(dst, p []byte) []byte {
	if len(c.partial) > 0 {
		p = append(c.partial, p...)
		c.partial = nil
	}
	for len(p) > 0 {
		if !utf8.FullRune(p) {
			c.partial = append([]byte(nil), p...)
			return dst
		}
		r, n := utf8.DecodeRune(p)
		dst = c.rune(dst, r)
		p = p[n:]
	}
	return dst
}

// Flush ends the stream: it appends what is held back, as far as it is text.
func (c *Cleaner) Flush(dst []byte) []byte {
	if len(c.partial) > 0 {
		c.partial = nil
		dst = c.rune(dst, utf8.RuneError)
	}
	*c = Cleaner{}
	return dst
}

func (c *Cleaner) rune(dst []byte, r rune) []byte {
	if c.state == ground {
		return c.text(dst, r)
	}
	if c.length++; c.length > maxSequence || r == '\n' && c.state != charset {
		c.state = ground
		return c.text(dst, r)
	}
	switch c.state {
	case escape:
		c.state = afterEscape(r)
	case charset:
		if r < 0x20 || r > 0x2f {
			c.state = ground
		}
	case control:
		switch {
		case r == 0x1b:
			c.begin()
		case r >= 0x40 && r <= 0x7e:
			c.state = ground
		case r < 0x20 || r > 0x3f:
			c.state = ground
			return c.text(dst, r)
		}
	case str:
		switch r {
		case 0x07:
			c.state = ground
		case 0x1b:
			c.state = strAfter
		}
	case strAfter:
		if r == '\\' {
			c.state = ground
		} else if c.state = afterEscape(r); c.state == ground {
			return c.text(dst, r)
		}
	}
	return dst
}

// afterEscape returns the state that the rune after ESC leads to.
func afterEscape(r rune) cleanState {
	switch {
	case r == '[':
		return control
	case r == ']' || r == 'P' || r == 'X' || r == '^' || r == '_':
		return str
	case r == 0x1b:
		return escape
	case r >= 0x20 && r <= 0x2f:
		return charset
	}
	return ground
}

func (c *Cleaner) begin() { c.state, c.length = escape, 0 }

// text takes a rune that is not part of a sequence.
func (c *Cleaner) text(dst []byte, r rune) []byte {
	if r == '\r' {
		c.cr = true
		return dst
	}
	if r == 0x1b {
		c.begin()
		return dst
	}
	if r != '\n' && r != '\t' && (r < 0x20 || r >= 0x7f && r <= 0x9f) {
		return dst
	}
	if c.cr {
		c.cr = false
		if r != '\n' {
			dst = append(dst, '\n')
		}
	}
	return utf8.AppendRune(dst, r)
}

// Clean returns the clean form of a whole text.
func Clean(text string) string {
	var c Cleaner
	return string(c.Flush(c.Add(nil, []byte(text))))
}
