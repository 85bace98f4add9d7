package httpapi

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestIPExtractor(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tc := range []struct {
		name    string
		trusted []netip.Prefix
		peer    string
		lists   []string
		want    string
	}{
		{name: "direct", peer: "203.0.113.9:1234", want: "203.0.113.9"},
		{name: "a header of nobody trusted", peer: "203.0.113.9:1234", lists: []string{"198.51.100.1"}, want: "203.0.113.9"},
		{name: "loopback is not trusted unless listed", peer: "127.0.0.1:1", lists: []string{"198.51.100.1"}, want: "127.0.0.1"},
		{name: "behind a proxy", trusted: proxies, peer: "10.0.0.1:1", lists: []string{"198.51.100.1"}, want: "198.51.100.1"},
		{name: "the leftmost is the caller's word", trusted: proxies, peer: "10.0.0.1:1", lists: []string{"1.1.1.1, 198.51.100.1"}, want: "198.51.100.1"},
		{name: "two proxies", trusted: proxies, peer: "10.0.0.1:1", lists: []string{"1.1.1.1, 198.51.100.1 , 10.9.9.9"}, want: "198.51.100.1"},
		{name: "two headers", trusted: proxies, peer: "10.0.0.1:1", lists: []string{"1.1.1.1", "198.51.100.1,10.2.2.2"}, want: "198.51.100.1"},
		{name: "only proxies", trusted: proxies, peer: "10.0.0.1:1", lists: []string{"10.0.0.3, 10.0.0.2"}, want: "10.0.0.3"},
		{name: "no header", trusted: proxies, peer: "10.0.0.1:1", want: "10.0.0.1"},
		{name: "garbage", trusted: proxies, peer: "10.0.0.1:1", lists: []string{"198.51.100.1, evil, 10.0.0.2"}, want: "10.0.0.2"},
		{name: "nothing but commas", trusted: proxies, peer: "10.0.0.1:1", lists: []string{",,"}, want: "10.0.0.1"},
		{name: "IPv6 in brackets with a port", trusted: proxies, peer: "[fd00::1]:443", lists: []string{"[2001:db8::7]:5000"}, want: "2001:db8::7"},
		{name: "IPv4 as IPv6", trusted: proxies, peer: "[::ffff:10.0.0.1]:1", lists: []string{"::ffff:198.51.100.1"}, want: "198.51.100.1"},
		{name: "no address at all", trusted: proxies, peer: "@", want: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tc.peer, Header: http.Header{"X-Forwarded-For": tc.lists}}
			if got := ipExtractor(tc.trusted)(r); got != tc.want {
				t.Errorf("got %q; want %q", got, tc.want)
			}
		})
	}
}

func FuzzForwardedFor(f *testing.F) {
	f.Add("10.0.0.1:1", "1.1.1.1, 10.0.0.2")
	f.Add("[fd00::1]:1", "[::1]:99999,%")
	extract := ipExtractor([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")})
	f.Fuzz(func(t *testing.T, peer, list string) {
		got := extract(&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {list}}})
		if got == "" {
			return
		}
		if _, err := netip.ParseAddr(got); err != nil {
			t.Fatalf("%q is no address", got)
		}
	})
}
