package throwaway

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// busAbove is how far above its port a Redis Cluster node has its bus.
const busAbove = 10_000

// freePort returns a port of 127.0.0.1 that nobody listens on, and whose bus
// port is free too. Both are below the range that systems take the ports of
// outgoing connections from, so that no client gets hold of the port while its
// server is down for a moment.
func freePort() (int, error) {
	for range 100 {
		port := busAbove + rand.IntN(busAbove) //nolint:gosec // no secret
		if isFree(port) && isFree(port+busAbove) {
			return port, nil
		}
	}
	return 0, errors.New("found no free port between 10000 and 20000")
}

// Address returns an address of 127.0.0.1 that nobody listens on, and that no
// outgoing connection gets hold of while a server there is down.
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
