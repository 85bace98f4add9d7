package output

import (
	"fmt"
	"unicode/utf8"
)

// noteRoom is what the note between head and tail may take, in bytes.
const noteRoom = 64

// Capture keeps the head and the tail of a text within a limit. It is not
// safe for concurrent use.
type Capture struct {
	limit int // of the whole, note included
	whole []byte
	// Once the text is over the limit: its head, and a tail that is cut now
	// and then when it has grown to twice its size.
	cut      bool
	tail     []byte
	tailSize int
	dropped  int64
}

// NewCapture makes a Capture of at most limit bytes.
func NewCapture(limit int) *Capture { return &Capture{limit: max(limit, 2*noteRoom)} }

// Add takes the next piece of text.
func (c *Capture) Add(p []byte) {
	if !c.cut {
		if len(c.whole)+len(p) <= c.limit {
			c.whole = append(c.whole, p...)
			return
		}
		c.split(p)
		return
	}
	if len(p) > c.tailSize {
		c.dropped += int64(len(c.tail) + len(p) - c.tailSize)
		c.tail = append(c.tail[:0], p[len(p)-c.tailSize:]...)
		return
	}
	c.tail = append(c.tail, p...)
	if over := len(c.tail) - c.tailSize; over >= c.tailSize {
		c.dropped += int64(over)
		c.tail = append(c.tail[:0], c.tail[over:]...)
	}
}

// split turns the whole into a head and a tail when p does not fit any more.
func (c *Capture) split(p []byte) {
	keep := c.limit - noteRoom
	head := keep / 2
	c.cut, c.tailSize = true, keep-head
	all := c.whole
	if len(all) < head {
		n := head - len(all)
		all = append(all, p[:n]...)
		p = p[n:]
	}
	for head > 0 && head < len(all) && !utf8.RuneStart(all[head]) {
		head--
	}
	rest := append([]byte(nil), all[head:]...)
	c.whole = append([]byte(nil), all[:head]...)
	c.Add(rest)
	c.Add(p)
}

// Truncated reports whether something was left out.
func (c *Capture) Truncated() bool { return c.cut }

// String returns the text, with a note where something was left out.
func (c *Capture) String() string {
	if !c.cut {
		return string(c.whole)
	}
	tail, dropped := c.tail, c.dropped
	if over := len(tail) - c.tailSize; over > 0 {
		tail, dropped = tail[over:], dropped+int64(over)
	}
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail, dropped = tail[1:], dropped+1
	}
	if dropped == 0 {
		return string(c.whole) + string(tail)
	}
	return fmt.Sprintf("%s\n… %d bytes left out …\n%s", c.whole, dropped, tail)
}
