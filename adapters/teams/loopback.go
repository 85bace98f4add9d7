package teams

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/infracloudio/msbotbuilder-go/connector/auth"
	"github.com/infracloudio/msbotbuilder-go/schema"
)

// unchecked stands for the Authorization header where none is looked at; the
// library takes no call without one.
const unchecked = "unauthenticated_loopback"

// loopback believes every activity, for unauthenticated_loopback. That it came
// from this machine is checked before.
type loopback struct{}

var _ auth.TokenValidator = loopback{}

// AuthenticateRequest implements auth.TokenValidator.
func (loopback) AuthenticateRequest(
	_ context.Context, act schema.Activity, _ string, _ auth.CredentialProvider, _ string,
) (auth.ClaimsIdentity, error) {
	if act.ChannelID != teamsChannel {
		return nil, denied(http.StatusForbidden, "the activity is of the channel %.100q, want %q", act.ChannelID, teamsChannel)
	}
	return identity{}, nil
}

// forwarded are headers that only proxies and tunnels add.
var forwarded = []string{
	"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Host", "X-Original-Url",
	"X-Envoy-External-Address", "True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "Client-Ip",
}

// fromThisMachine checks that a program on this machine calls, directly: no
// proxy that stands here and speaks for others, and no page in a browser here.
// Its error is a *denial.
func fromThisMachine(r *http.Request) error {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !remote.Addr().Unmap().IsLoopback() {
		return denied(http.StatusForbidden, "unauthenticated_loopback is set, and the call is from %s, not from this machine", r.RemoteAddr)
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") || has(forwarded, name) {
			return denied(http.StatusForbidden, "unauthenticated_loopback is set, and the call came through a proxy (%s)", name)
		}
		if name == "Origin" || strings.HasPrefix(name, "Sec-Fetch-") {
			return denied(http.StatusForbidden, "unauthenticated_loopback is set, and a page in a browser calls")
		}
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !isLoopback(strings.Trim(host, "[]")) {
		return denied(http.StatusForbidden, "unauthenticated_loopback is set, and the call is for the host %.100q, not for localhost", r.Host)
	}
	return nil
}

func has(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
