package mysql

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
)

// cut is where a connection is cut.
type cut int

const (
	cutNothing cut = iota
	cutBefore      // the statement: the server never sees it
	cutDuring      // the server gets half of it
	cutAfter       // the server has done it, and its answer is lost
)

func (c cut) String() string {
	return [...]string{"nothing", "before", "during", "after"}[c]
}

// cutter makes connections that break where decide says so. It is asked about
// each statement, one at a time.
type cutter struct {
	mu     sync.Mutex
	decide func(statement string) cut
}

func (c *cutter) set(decide func(statement string) cut) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decide = decide
}

func (c *cutter) ask(statement string) cut {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.decide == nil {
		return cutNothing
	}
	return c.decide(statement)
}

func (c *cutter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: conn, cutter: c}, nil
}

type cutConn struct {
	net.Conn
	cutter *cutter
	deaf   bool // cut once the server has answered
}

// errCut is of the type that the network's errors have.
var errCut = &net.OpError{Op: "test", Err: errors.New("the test cut the connection")}

// comQuery is the protocol's mark of a statement, after the four bytes of the
// packet's header.
const comQuery = 3

func (c *cutConn) Write(b []byte) (int, error) {
	if len(b) < 5 || b[4] != comQuery || b[3] != 0 {
		return c.Conn.Write(b)
	}
	text := string(bytes.ToValidUTF8(b[5:min(len(b), 200)], nil))
	switch c.cutter.ask(text) {
	case cutBefore:
		_ = c.Close()
		return 0, errCut
	case cutDuring:
		_, _ = c.Conn.Write(b[:len(b)/2])
		_ = c.Close()
		return len(b) / 2, errCut
	case cutAfter:
		c.deaf = true
	case cutNothing:
	}
	return c.Conn.Write(b)
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.deaf {
		_ = c.Close()
		return 0, errCut
	}
	return n, err
}
