package throwaway

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// busAbove is how far above its port a Redis Cluster node has its bus.
const busAbove = 10_000

// freePort returns a port of 127.0.0.1 that nobody listens on, and whose bus
// port is free too. Both are below the range that systems take the ports of
// outgoing connections from, so that no client gets hold of the port while its
// server is down for a moment. No other test of this machine is given it while
// this process lasts.
func freePort() (int, error) {
	for range 100 {
		port := busAbove + rand.IntN(busAbove) //nolint:gosec // no secret
		// The UDP port of that number, which no server of the tests uses, says
		// that the TCP port is given away. It is never closed.
		held, err := net.ListenPacket("udp", loopback(port)) //nolint:noctx // opened at once
		if err != nil {
			continue
		}
		if isFree(port) && isFree(port+busAbove) {
			given.Store(port, held)
			return port, nil
		}
		_ = held.Close()
	}
	return 0, errors.New("found no free port between 10000 and 20000")
}

// given are the ports that freePort returned, each with the socket that says so.
var given sync.Map

// Address returns an address of 127.0.0.1 that nobody listens on, that no
// other test is given, and that no outgoing connection gets hold of while a
// server there is down.
func Address(t testing.TB) string {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return loopback(port)
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", loopback(port)) //nolint:noctx // closed at once
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
