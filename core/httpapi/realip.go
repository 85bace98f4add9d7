package httpapi

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"
)

// ipExtractor returns how the caller's address is found: the peer of the
// connection, or, if that is a trusted proxy, the rightmost address in
// X-Forwarded-For that is not one. What stands further left is the caller's
// own word and decides nothing.
func ipExtractor(trusted []netip.Prefix) echo.IPExtractor {
	return func(r *http.Request) string {
		peer := peerAddr(r.RemoteAddr)
		if !peer.IsValid() {
			return ""
		}
		if len(trusted) == 0 || !contains(trusted, peer) {
			return peer.String()
		}
		return forwardedFor(r.Header.Values(echo.HeaderXForwardedFor), peer, trusted).String()
	}
}

// isBehindUnknownProxy reports whether the call comes by a proxy on this machine
// that is not trusted. From another machine the header proves no proxy.
func isBehindUnknownProxy(r *http.Request, trusted []netip.Prefix) bool {
	if len(r.Header[echo.HeaderXForwardedFor]) == 0 {
		return false
	}
	peer := peerAddr(r.RemoteAddr)
	return peer.IsLoopback() && !contains(trusted, peer)
}

// forwardedFor walks the proxies' list from its right end, where the nearest
// proxy wrote. It stops at the last address that a trusted proxy vouches for.
func forwardedFor(lists []string, peer netip.Addr, trusted []netip.Prefix) netip.Addr {
	best := peer
	for i := len(lists) - 1; i >= 0; i-- {
		for list := lists[i]; list != ""; {
			var last string
			if comma := strings.LastIndexByte(list, ','); comma >= 0 {
				list, last = list[:comma], list[comma+1:]
			} else {
				list, last = "", list
			}
			addr := forwardedAddr(strings.TrimSpace(last))
			if !addr.IsValid() {
				return best
			}
			best = addr
			if !contains(trusted, addr) {
				return best
			}
		}
	}
	return best
}

// forwardedAddr reads one address as proxies write it: bare, in brackets, or
// with a port.
func forwardedAddr(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// peerAddr is the address of a connection's other end.
func peerAddr(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
