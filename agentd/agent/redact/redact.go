// Package redact takes secrets out of a stream of text. However the stream is
// split, what comes out is the same, and no byte of a secret is let through
// before it is known not to be one.
package redact

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// Mask replaces each secret.
	Mask = "***"
	// MinLength is the shortest secret, in bytes. A shorter one would be
	// found everywhere and make the text unreadable.
	MinLength = 4
	// minLine is the shortest line of a secret of several lines that counts
	// as a secret of its own.
	minLine = 8
)

// Set is a set of secrets, ready to be looked for. It does not change and may
// be used concurrently. A nil Set has no secrets.
type Set struct {
	nodes []node
	first [256]bool // whether a secret begins with the byte
}

// node is a state of an Aho-Corasick automaton: what of the text could be the
// beginning of a secret.
type node struct {
	depth    int32
	fail     int32
	longest  int32 // length of the longest secret that ends here; 0: none
	children []edge
}

type edge struct {
	c  byte
	to int32
}

// Check reports why a value cannot be redacted, without repeating it.
func Check(secret string) error {
	if n := len(strings.TrimSpace(secret)); n < MinLength {
		return fmt.Errorf("has %d characters; at least %d are needed, since shorter ones occur everywhere", n, MinLength)
	}
	return nil
}

// New makes a Set. Besides each secret itself it looks for it without the
// white space around it, and for the longer lines of one with several. Values
// that Check refuses are left out.
func New(secrets ...string) *Set {
	s := &Set{nodes: []node{{}}}
	add := func(v string, shortest int) {
		if len(strings.TrimSpace(v)) >= shortest {
			s.add(v)
		}
	}
	for _, secret := range secrets {
		if Check(secret) != nil {
			continue
		}
		secret = strings.ReplaceAll(secret, "\r\n", "\n")
		add(secret, MinLength)
		add(strings.TrimSpace(secret), MinLength)
		if strings.Contains(secret, "\n") {
			for line := range strings.Lines(secret) {
				add(strings.TrimSpace(line), minLine)
			}
		}
	}
	s.link()
	return s
}

func (s *Set) add(secret string) {
	s.first[secret[0]] = true
	at := int32(0)
	for i := range len(secret) {
		next, ok := s.child(at, secret[i])
		if !ok {
			next = int32(len(s.nodes)) //nolint:gosec // far fewer than 2^31 bytes of secrets
			s.nodes[at].children = append(s.nodes[at].children, edge{secret[i], next})
			s.nodes = append(s.nodes, node{depth: s.nodes[at].depth + 1})
		}
		at = next
	}
	s.nodes[at].longest = s.nodes[at].depth
}

func (s *Set) child(at int32, c byte) (int32, bool) {
	for _, e := range s.nodes[at].children {
		if e.c == c {
			return e.to, true
		}
	}
	return 0, false
}

// link fills in where to go on after a mismatch, breadth first.
func (s *Set) link() {
	queue := []int32{0}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, e := range s.nodes[at].children {
			if at != 0 {
				s.nodes[e.to].fail = s.next(s.nodes[at].fail, e.c)
			}
			n := &s.nodes[e.to]
			n.longest = max(n.longest, s.nodes[n.fail].longest)
			queue = append(queue, e.to)
		}
	}
}

// next returns the state after one more byte.
func (s *Set) next(at int32, c byte) int32 {
	for {
		if to, ok := s.child(at, c); ok {
			return to
		}
		if at == 0 {
			return 0
		}
		at = s.nodes[at].fail
	}
}

// String redacts a whole text.
func (s *Set) String(text string) string {
	st := s.Stream()
	return string(st.Flush(st.Add(nil, []byte(text))))
}

// Stream begins a text that comes in pieces.
func (s *Set) Stream() *Stream {
	if s == nil {
		s = New()
	}
	return &Stream{set: s}
}

// Stream redacts one text. It is not safe for concurrent use.
type Stream struct {
	set   *Set
	state int32
	// held is the end of the text that may be the beginning of a secret, and
	// covered says which of its bytes belong to one already.
	held    []byte
	covered []bool
	masked  bool // the last thing let out was the mask
}

// Add appends to dst what can be let out once p has come, and returns it.
// Secrets that overlap or touch become one mask.
func (t *Stream) Add(dst, p []byte) []byte {
	for len(p) > 0 {
		if t.state == 0 {
			// Nothing is held: pass on everything up to where a secret may
			// begin.
			n := slices.IndexFunc(p, func(c byte) bool { return t.set.first[c] })
			if n < 0 {
				n = len(p)
			}
			if n > 0 {
				dst = append(dst, p[:n]...)
				t.masked = false
				p = p[n:]
				continue
			}
		}
		dst = t.step(dst, p[0])
		p = p[1:]
	}
	return dst
}

func (t *Stream) step(dst []byte, c byte) []byte {
	t.held = append(t.held, c)
	t.covered = append(t.covered, false)
	t.state = t.set.next(t.state, c)
	n := t.set.nodes[t.state]
	for i := len(t.covered) - int(n.longest); i < len(t.covered); i++ {
		t.covered[i] = true
	}
	return t.release(dst, len(t.held)-int(n.depth))
}

// release lets out the first n held bytes, masked where they are covered.
func (t *Stream) release(dst []byte, n int) []byte {
	for i := range n {
		switch {
		case !t.covered[i]:
			dst = append(dst, t.held[i])
			t.masked = false
		case !t.masked:
			dst = append(dst, Mask...)
			t.masked = true
		}
	}
	t.held = append(t.held[:0], t.held[n:]...)
	t.covered = append(t.covered[:0], t.covered[n:]...)
	return dst
}

// Flush ends the text: it appends what is still held to dst.
func (t *Stream) Flush(dst []byte) []byte {
	dst = t.release(dst, len(t.held))
	t.state, t.masked = 0, false
	return dst
}
