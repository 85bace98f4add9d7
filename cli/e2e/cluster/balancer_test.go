//go:build unix

package cluster

import (
	"io"
	"net"
	"sync"
	"testing"
)

// balancer stands before the nodes, as a load balancer does: it takes each
// connection to one of those that are up, and cuts those of one that is not.
type balancer struct {
	l net.Listener

	mu    sync.Mutex
	nodes []string
	down  map[string]bool
	conns map[net.Conn]string // both sides, by node
	next  int
	wait  sync.WaitGroup
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{l: l, down: map[string]bool{}, conns: map[net.Conn]string{}}
	b.wait.Go(b.accept)
	t.Cleanup(func() {
		_ = l.Close()
		b.mu.Lock()
		b.nodes = nil
		for c := range b.conns {
			_ = c.Close()
		}
		b.mu.Unlock()
		b.wait.Wait()
	})
	return b
}

func (b *balancer) addr() string { return b.l.Addr().String() }

func (b *balancer) add(node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = append(b.nodes, node)
}

// takeOut cuts the node's connections and gives it no new ones.
func (b *balancer) takeOut(node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down[node] = true
	for c, of := range b.conns {
		if of == node {
			_ = c.Close()
		}
	}
}

func (b *balancer) takeIn(node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.down, node)
}

func (b *balancer) accept() {
	for {
		c, err := b.l.Accept()
		if err != nil {
			return
		}
		b.wait.Go(func() { b.carry(c) })
	}
}

// carry copies both ways until one side ends.
func (b *balancer) carry(in net.Conn) {
	defer func() { _ = in.Close() }()
	out, node := b.dial()
	if out == nil {
		return
	}
	defer func() { _ = out.Close() }()
	if !b.note(node, in, out) {
		return
	}
	defer b.forget(in, out)
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		b.wait.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		})
	}
	<-done
}

func (b *balancer) dial() (c net.Conn, node string) {
	b.mu.Lock()
	var up []string
	for i := range b.nodes {
		if n := b.nodes[(b.next+i)%len(b.nodes)]; !b.down[n] {
			up = append(up, n)
		}
	}
	b.next++
	b.mu.Unlock()
	for _, n := range up {
		if c, err := net.Dial("tcp", n); err == nil {
			return c, n
		}
	}
	return nil, ""
}

// note remembers the connections, unless their node was taken out meanwhile.
func (b *balancer) note(node string, conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down[node] || b.nodes == nil {
		return false
	}
	for _, c := range conns {
		b.conns[c] = node
	}
	return true
}

func (b *balancer) forget(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		delete(b.conns, c)
	}
}
