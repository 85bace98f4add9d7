package mysql

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
)

// route is a way to a server that can be led to another one, as a proxy would:
// connections that are there stay.
type route struct {
	mu   sync.Mutex
	addr string // empty: as the caller says
	// lose is where the way leads once the next COMMIT got lost. That arrives
	// when arrive says so of a statement and the one before it.
	lose   string
	arrive func(before, statement string) bool
	late   func() error // sends it
	err    error
}

func (r *route) lead(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addr = addr
}

func (r *route) loseCommit(then string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lose = then
}

// arrived returns nil if a COMMIT got lost and arrived later.
func (r *route) arrived() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lose != "" || r.late != nil {
		return errors.New("no COMMIT arrived late")
	}
	return r.err
}

func (r *route) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	r.mu.Lock()
	addr = cmp.Or(r.addr, addr)
	r.mu.Unlock()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &routeConn{Conn: c, route: r}, nil
}

type routeConn struct {
	net.Conn
	route  *route
	before string // the statement before
	kept   bool   // for what arrives late
}

func (c *routeConn) Write(b []byte) (int, error) {
	if len(b) < 5 || b[4] != comQuery || b[3] != 0 {
		return c.Conn.Write(b)
	}
	if c.lost(bytes.Clone(b)) {
		return 0, errCut
	}
	return c.Conn.Write(b)
}

// lost says whether a statement gets lost.
func (c *routeConn) lost(packet []byte) bool {
	r, text := c.route, string(packet[5:])
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.late != nil && r.arrive(c.before, text) {
		r.err, r.late = r.late(), nil
	}
	c.before = text
	if r.lose == "" || text != "COMMIT" {
		return false
	}
	r.addr, r.lose, c.kept = r.lose, "", true
	r.late = func() error {
		_, err := c.Conn.Write(packet)
		if err == nil {
			_, err = c.Read(make([]byte, 100)) // it is done, or refused
		}
		return errors.Join(err, c.Conn.Close())
	}
	return true
}

func (c *routeConn) Close() error {
	if c.kept {
		return nil
	}
	return c.Conn.Close()
}
