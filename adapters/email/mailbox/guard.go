package mailbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap"
)

const (
	// maxLine is the length of the longest line that a server may send: the
	// numbers of all mail that waits.
	maxLine = 4 << 20
	// maxLists is how many lists a response may have, within each other or not:
	// the library reads them by recursion.
	maxLists = 1000
	// budget is how much a server may send in answer to one command.
	budget = 64 << 20
)

// guard stands between go-imap and the server. The library reads what a server
// sends in a goroutine of its own, where a panic kills the process, and
// allocates what the server says: it panics on "* EXISTS" or "* 1 FETCH",
// takes a literal of 4 GiB, a line or a nesting without end, and forgets a
// goroutine for each continuation that nobody asked for. So each response is
// read here first, whole and within bounds, and tried with the library's own
// parser where a panic can be caught. Only what the reader needs goes on.
type guard struct {
	net.Conn // TLS
	raw      net.Conn
	r        *bufio.Reader
	// literal is the size of the largest literal.
	literal int
	// opened is closed when the library may read more than the greeting, that is
	// when its logger is set.
	opened, closed chan struct{}
	closing        sync.Once
	// exists gets a value when the server says that there is mail.
	exists chan struct{}

	out []byte // read by the library alone

	mu sync.Mutex
	// continues is how many continuations the last command may bring, and
	// authenticating that it is a login, which goes to and fro.
	continues      int
	authenticating bool
	left           int
	err            error
	no             *noError // of the last command
}

// greeting is what the library is told instead of the server's own, which is
// read before: it names capabilities so that the library asks for nothing yet.
const greeting = "* OK [CAPABILITY IMAP4rev1] ready\r\n"

func newGuard(conn, raw net.Conn, r *bufio.Reader, literal int) *guard {
	return &guard{
		Conn: conn, raw: raw, r: r, literal: literal, left: budget, out: []byte(greeting),
		opened: make(chan struct{}), closed: make(chan struct{}), exists: make(chan struct{}, 1),
	}
}

// open lets the library read on.
func (g *guard) open() { close(g.opened) }

// Close ends the connection at once, and whatever waits for it.
func (g *guard) Close() error {
	g.closing.Do(func() { close(g.closed) })
	return g.raw.Close()
}

// fail ends the connection and keeps why.
func (g *guard) fail(err error) {
	g.mu.Lock()
	if g.err == nil {
		g.err = err
	}
	g.mu.Unlock()
	_ = g.Close()
}

// refused keeps what the server said no to; nil before each command.
func (g *guard) refused(no *noError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.no = no
}

// said returns what the server said no with.
func (g *guard) said() *noError {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.no
}

// failed returns why the connection ended, if it is known.
func (g *guard) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// The library sets deadlines for each command, and forgets them; what takes too
// long is ended from outside.

// SetDeadline does nothing.
func (g *guard) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (g *guard) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

var errLiteral = errors.New("a literal in a command, for which the library would wait without end")

// Write notes what the server may answer.
func (g *guard) Write(p []byte) (int, error) {
	if bytes.HasSuffix(p, []byte("}\r\n")) {
		return 0, errLiteral
	}
	g.mu.Lock()
	g.left = budget
	words := bytes.Fields(p)
	switch {
	case len(words) >= 2 && bytes.EqualFold(words[1], []byte("AUTHENTICATE")):
		g.authenticating, g.continues = true, 1
	case len(words) >= 2 && bytes.EqualFold(words[1], []byte("IDLE")):
		g.authenticating, g.continues = false, 1
	case g.authenticating && len(words) <= 1:
		g.continues = 1
	default:
		g.authenticating, g.continues = false, 0
	}
	g.mu.Unlock()
	return g.Conn.Write(p)
}

// Read gives out responses that are fit for the library.
func (g *guard) Read(p []byte) (int, error) {
	for len(g.out) == 0 {
		select {
		case <-g.opened:
		case <-g.closed:
			return 0, io.EOF
		}
		response, err := g.next()
		if err == nil {
			var pass bool
			if pass, err = g.judge(response); pass {
				g.out = response
			}
		}
		if err != nil {
			g.fail(err)
			return 0, io.EOF
		}
	}
	n := copy(p, g.out)
	g.out = g.out[n:]
	return n, nil
}

// next reads a response with all its literals.
func (g *guard) next() ([]byte, error) {
	var response []byte
	lists := 0
	for {
		line, err := g.line(len(response))
		if err != nil {
			return nil, err
		}
		if lists += bytes.Count(line, []byte("(")); lists > maxLists {
			return nil, errors.New("the server sends too many lists at once")
		}
		response = append(response, line...)
		n, ok := literalAtEnd(line)
		if !ok {
			return response, nil
		}
		if n > g.literal || len(response)+n > maxLine+g.literal {
			return nil, fmt.Errorf("the server sends a literal of %d bytes", n)
		}
		if err := g.spend(n); err != nil {
			return nil, err
		}
		start := len(response)
		response = append(response, make([]byte, n)...)
		if _, err := io.ReadFull(g.r, response[start:]); err != nil {
			return nil, err
		}
	}
}

func (g *guard) line(before int) ([]byte, error) {
	var line []byte
	for {
		part, err := g.r.ReadSlice('\n')
		if failed := g.spend(len(part)); failed != nil {
			return nil, failed
		}
		line = append(line, part...)
		if before+len(line) > maxLine+g.literal {
			return nil, errors.New("the server sends a line without end")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// spend counts what the server sends, so that it cannot do so for ever.
func (g *guard) spend(n int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left -= n; g.left < 0 {
		return errors.New("the server sends more than any command asks for")
	}
	return nil
}

// literalAtEnd returns the size of the literal that follows the line.
func literalAtEnd(line []byte) (int, bool) {
	line = bytes.TrimRight(line, "\r\n")
	if !bytes.HasSuffix(line, []byte("}")) {
		return 0, false
	}
	digits := strings.TrimSuffix(string(line[bytes.LastIndexByte(line, '{')+1:len(line)-1]), "+")
	n, err := strconv.ParseUint(digits, 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		return 1<<31 - 1, true
	}
	return int(n), err == nil //nolint:gosec // 31 bits
}

// judge tries a response with the library's parser, and says whether the
// library is to see it.
func (g *guard) judge(response []byte) (pass bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			pass, err = false, fmt.Errorf("the server sends what cannot be read: %v", p)
		}
	}()
	b := bufio.NewReader(bytes.NewReader(response))
	r := imap.NewReader(b)
	r.MaxLiteralSize = uint32(g.literal) //nolint:gosec // a few hundred KiB
	resp, err := imap.ReadResp(r)
	if err != nil {
		return false, fmt.Errorf("the server sends what cannot be read: %w", err)
	}
	if _, err := b.ReadByte(); !errors.Is(err, io.EOF) {
		return false, errors.New("the server sends what cannot be read: it goes on")
	}
	switch resp := resp.(type) {
	case *imap.ContinuationReq:
		return true, g.takeContinuation()
	case *imap.StatusResp:
		if resp.Tag != "*" {
			g.refused(newNo(resp))
		}
		return true, nil
	case *imap.DataResp:
		return g.judgeData(resp)
	}
	return false, nil
}

func (g *guard) takeContinuation() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.continues--; g.continues < 0 {
		return errors.New("the server asks to go on with what was not begun")
	}
	return nil
}

// judgeData keeps from the library what it stumbles over: changes of the folder
// between two commands.
func (g *guard) judgeData(resp *imap.DataResp) (bool, error) {
	name, fields, ok := imap.ParseNamedResp(resp)
	if !ok || resp.Tag != "*" {
		return false, nil
	}
	switch name {
	case "EXISTS":
		select {
		case g.exists <- struct{}{}:
		default:
		}
		return false, nil
	case "FETCH":
		if len(fields) != 2 {
			return false, errors.New("the server sends a FETCH without data")
		}
		if _, err := imap.ParseNumber(fields[0]); err != nil {
			return false, errors.New("the server sends a FETCH without a number")
		}
		items, ok := fields[1].([]any)
		if !ok {
			return false, errors.New("the server sends a FETCH without a list")
		}
		if err := new(imap.Message).Parse(items); err != nil {
			return false, fmt.Errorf("the server sends a FETCH that cannot be read: %w", err)
		}
		return true, nil
	case "FLAGS":
		return len(fields) > 0, nil
	case "CAPABILITY", "SEARCH":
		return true, nil
	}
	return false, nil
}

// endAfter ends the connection after d, unless it has ended by then.
func (g *guard) endAfter(d time.Duration) {
	go func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			g.fail(errTimeout)
		case <-g.closed:
		}
	}()
}
