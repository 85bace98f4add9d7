package mysql

import (
	"io"
	"net"
	"sync"
	"testing"
)

// router stands before the servers of a group, as MySQL Router and the like do:
// it takes each new connection to the one that it leads to, and leaves those
// that it has.
type router struct {
	l net.Listener

	mu    sync.Mutex
	to    string
	conns map[net.Conn]struct{}
	wait  sync.WaitGroup
}

func newRouter(t *testing.T, to string) *router {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &router{l: l, to: to, conns: map[net.Conn]struct{}{}}
	r.wait.Go(r.accept)
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		for c := range r.conns {
			_ = c.Close()
		}
		r.conns = nil
		r.mu.Unlock()
		r.wait.Wait()
	})
	return r
}

func (r *router) addr() string { return r.l.Addr().String() }

// lead has new connections go to another server.
func (r *router) lead(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

func (r *router) accept() {
	for {
		c, err := r.l.Accept()
		if err != nil {
			return
		}
		r.wait.Go(func() { r.carry(c) })
	}
}

func (r *router) carry(c net.Conn) {
	defer func() { _ = c.Close() }()
	r.mu.Lock()
	to := r.to
	r.mu.Unlock()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !r.keep(c, server) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, server}, {server, c}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = c.Close()
			_ = server.Close()
		})
	}
	both.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	delete(r.conns, server)
}

// keep reports false once the router is gone.
func (r *router) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		return false
	}
	for _, c := range conns {
		r.conns[c] = struct{}{}
	}
	return true
}
