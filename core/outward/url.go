package outward

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxURL is the longest URL that is called, in bytes.
const maxURL = 2000

// RefusedError is a URL or an address that may not be called. Its text shows
// no part of a URL but the host.
type RefusedError struct {
	// Host is the host of the URL, as it was written.
	Host string
	// Why says what is wrong with it.
	Why string
}

func (e *RefusedError) Error() string {
	if e.Host == "" {
		return e.Why
	}
	return fmt.Sprintf("%.100q %s", e.Host, e.Why)
}

// Check says why a URL may not be called, as far as it can be told from the URL
// alone, as a *RefusedError; the rest is told when it is called.
func (a Allow) Check(raw string) error {
	_, err := a.parse(raw)
	return err
}

func (a Allow) parse(raw string) (*url.URL, error) {
	refuse := func(host, why string) (*url.URL, error) { return nil, &RefusedError{Host: host, Why: why} }
	if len(raw) > maxURL {
		return refuse("", fmt.Sprintf("the URL is longer than %d bytes", maxURL))
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return refuse("", "the URL has blanks or characters that are not ASCII; write them as %20 or, in a host's name, as xn--…")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return refuse("", "the URL is not of the form https://host/path")
	}
	host := u.Hostname()
	switch {
	case u.User != nil:
		return refuse("", "the URL has a user or password in it; leave that out, and check the signature of what you get")
	case u.Fragment != "":
		return refuse("", "the URL has a fragment, which is never sent; leave it out")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return refuse(host, "has no port from 1 to 65535 behind it")
		}
	}
	listed := a.host(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		listed = a.addr(ip)
		if err := a.judge(host, ip); err != nil {
			return nil, err
		}
	} else if err := checkName(host); err != nil {
		return refuse(host, err.Error())
	} else if name := foldHost(host); !listed && (name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		return refuse(host, "is this machine, and not listed in callbacks.allow")
	}
	if u.Scheme != "https" && !listed {
		return refuse(host, "is called over https:// alone, unless callbacks.allow lists it")
	}
	return u, nil
}

// judge says why the address may not be called, as a *RefusedError.
func (a Allow) judge(host string, ip netip.Addr) error {
	what := unfit(ip)
	if what == "" || a.host(host) || a.addr(ip) {
		return nil
	}
	return &RefusedError{Host: host, Why: fmt.Sprintf("is %s, which is %s, and callbacks.allow does not list it", ip, what)}
}
