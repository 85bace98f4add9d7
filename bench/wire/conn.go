// Package wire is a small HTTP/1.1 client for load generators. It shares the
// machine's cores with the server that it measures, so it does nothing that a
// load generator can do without: no redirects, no proxies, no pools, no header
// maps. One connection carries one request at a time.
package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	// timeout bounds one request, the longest poll included.
	timeout = 2 * time.Minute
	// maxBody is the longest answer that is taken.
	maxBody = 64 << 20
)

// Conn is one keep-alive connection. Its methods are not for concurrent use,
// except Close.
type Conn struct {
	c    net.Conn
	r    *bufio.Reader
	head []byte // Host and Authorization
	out  []byte
	body []byte
}

// Dial connects to addr (host:port). token may be empty.
func Dial(addr, token string) (*Conn, error) {
	return dial(addr, token, 16<<10)
}

// DialIdle is Dial for connections that mostly wait: it keeps small buffers.
func DialIdle(addr, token string) (*Conn, error) {
	return dial(addr, token, 1<<10)
}

func dial(addr, token string, buffer int) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second) //nolint:noctx // has a timeout of its own
	if err != nil {
		return nil, err
	}
	head := "Host: " + addr + "\r\n"
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}
	return &Conn{c: c, r: bufio.NewReaderSize(c, buffer), head: []byte(head)}, nil
}

// Close ends the connection; a request under way fails.
func (c *Conn) Close() error { return c.c.Close() }

// Do sends one request and returns its answer. The answer's bytes are valid
// until the next call.
func (c *Conn) Do(method, path string, body []byte) (status int, answer []byte, err error) {
	if err := c.send(method, path, body); err != nil {
		return 0, nil, err
	}
	return c.answer()
}

// Stream sends a GET and returns once its answer has begun.
func (c *Conn) Stream(path string) (*Stream, error) {
	if err := c.send("GET", path, nil); err != nil {
		return nil, err
	}
	h, err := c.header()
	if err != nil {
		return nil, err
	}
	if h.status != 200 {
		return nil, fmt.Errorf("GET %s was answered with status %d", path, h.status)
	}
	// A stream lasts as long as it lasts.
	if err := c.c.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	s := &Stream{lines: c.r}
	if h.chunked {
		s.lines = bufio.NewReaderSize(&chunks{r: c.r}, 64<<10)
	}
	return s, nil
}

// Stream is an answer that goes on.
type Stream struct{ lines *bufio.Reader }

// Lines calls f with each line, without its line break, until the answer ends
// or f returns an error, and returns that. f must not keep the line.
func (s *Stream) Lines(f func(line []byte) error) error {
	for {
		line, err := s.lines.ReadSlice('\n')
		if err != nil {
			return err
		}
		if err := f(bytes.TrimRight(line, "\r\n")); err != nil {
			return err
		}
	}
}

func (c *Conn) send(method, path string, body []byte) error {
	if err := c.c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	b := append(c.out[:0], method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = append(b, c.head...)
	if body != nil {
		b = append(b, "Content-Type: application/json\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	c.out = append(b, body...)
	_, err := c.c.Write(c.out)
	return err
}

func (c *Conn) answer() (int, []byte, error) {
	h, err := c.header()
	if err != nil {
		return 0, nil, err
	}
	c.body = c.body[:0]
	switch {
	case h.status == 204 || h.status == 304:
	case h.chunked:
		buf := bytes.NewBuffer(c.body)
		if _, err := buf.ReadFrom(io.LimitReader(&chunks{r: c.r}, maxBody)); err != nil {
			return 0, nil, err
		}
		c.body = buf.Bytes()
	case h.length > 0:
		if cap(c.body) < h.length {
			c.body = make([]byte, h.length)
		}
		c.body = c.body[:h.length]
		if _, err := io.ReadFull(c.r, c.body); err != nil {
			return 0, nil, err
		}
	case h.length < 0:
		return 0, nil, errors.New("the answer says neither its length nor that it is chunked")
	}
	return h.status, c.body, nil
}

type header struct {
	status  int
	length  int // -1 if the answer does not say
	chunked bool
}

// header reads the status line and the header fields of the answer.
func (c *Conn) header() (header, error) {
	h := header{length: -1}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) || len(line) < len("HTTP/1.1 200") {
		return h, fmt.Errorf("not an HTTP/1.1 answer: %q", line)
	}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return h, fmt.Errorf("not an HTTP/1.1 answer: %q", line)
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return h, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if h.length, err = strconv.Atoi(string(value)); err != nil || h.length < 0 || h.length > maxBody {
				return h, fmt.Errorf("bad Content-Length %q", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
}

// chunks reads a body in chunked transfer coding.
type chunks struct {
	r    *bufio.Reader
	left int
	more bool // a chunk was read before, so its line break comes first
	done bool
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.done {
		return 0, io.EOF
	}
	if c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
		if c.done {
			return 0, io.EOF
		}
	}
	n, err := c.r.Read(p[:min(len(p), c.left)])
	c.left -= n
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads the size of the next chunk; of the last one also the end.
func (c *chunks) next() error {
	if c.more {
		if _, err := c.r.Discard(2); err != nil {
			return err
		}
	}
	c.more = true
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	size, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(";"))
	n, err := strconv.ParseInt(string(size), 16, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("bad size of a chunk: %q", line)
	}
	c.left = int(n)
	if n > 0 {
		return nil
	}
	c.done = true
	for { // trailers, which nobody reads
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
	}
}
