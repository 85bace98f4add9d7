package agentapi

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// ErrPlainHTTP is wrapped by the error for a server address that would send
// the token in the clear over a network.
var ErrPlainHTTP = errors.New("http:// is only for a server on this machine")

// CheckServer parses a server's address as the Client takes it: https, or http
// to a loopback address, with an optional path, which is not one of a call, and
// nothing else. It looks nothing up: besides literal addresses only the name localhost is loopback.
func CheckServer(address string) (*url.URL, error) {
	if strings.TrimSpace(address) == "" {
		return nil, errors.New("the server's address is empty; write it like https://skadi.example.com")
	}
	u, err := url.Parse(address)
	if err != nil {
		// The parser's text repeats the address, which may hold a password.
		return nil, errors.New("the server's address is not a URL; write it like https://skadi.example.com")
	}
	switch {
	case u.User != nil:
		return nil, errors.New("the server's address must hold no user or password; the token goes in its own setting")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, fmt.Errorf("the server's address %q must begin with https:// and a host", address)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the server's address %q must end after its path", address)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("the server's address %q: %w, since it would show the token to the network; use https://", address, ErrPlainHTTP)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if ofCall(u.Path) {
		return nil, fmt.Errorf("the server's address %q must end before /v1, which every call adds to it", address)
	}
	return u, nil
}

// ofCall reports whether path goes as far as a call. A gateway may well have a
// /v1/ of its own before.
func ofCall(path string) bool {
	if strings.HasSuffix(path, "/v1") {
		return true
	}
	for rest := path; ; {
		_, after, found := strings.Cut(rest, "/v1/")
		if !found {
			return false
		}
		switch call, _, _ := strings.Cut(after, "/"); call {
		case "jobs", "agents", "agent", "events", "accounts", "nodes", "reload":
			return true
		}
		rest = "/" + after // /v1/v1/jobs
	}
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
