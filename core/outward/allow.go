package outward

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Allow lists what may be called though it is no public address: by the name
// of a host or by network. The zero value lists nothing.
type Allow struct {
	hosts    []string
	networks []netip.Prefix
}

// ParseAllow reads entries such as 10.1.2.3, 10.0.0.0/8, fd00:1::/48 and
// ci.example.com. A host's name stands for whatever it resolves to, and for
// that name alone. The error joins one *EntryError for each wrong entry.
func ParseAllow(entries []string) (Allow, error) {
	var a Allow
	var errs []error
	for i, text := range entries {
		if p, err := netip.ParsePrefix(text); err == nil {
			if p != p.Masked() {
				errs = append(errs, &EntryError{i, fmt.Sprintf("%q has bits behind its length; write %s", text, p.Masked())})
				continue
			}
			a.networks = append(a.networks, p)
			continue
		}
		if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil && ip.Zone() == "" {
			ip = ip.Unmap()
			a.networks = append(a.networks, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		host := foldHost(text)
		if err := checkName(host); err != nil || strings.ContainsAny(text, "/:*@") {
			errs = append(errs, &EntryError{i, fmt.Sprintf("%q is no address, network or name of a host, such as 10.0.0.7, 10.0.0.0/8 or ci.example.com", text)})
			continue
		}
		a.hosts = append(a.hosts, host)
	}
	return a, errors.Join(errs...)
}

// EntryError is about one entry of a list that ParseAllow read.
type EntryError struct {
	Index  int
	Detail string
}

func (e *EntryError) Error() string { return fmt.Sprintf("[%d]: %s", e.Index, e.Detail) }

// Field says which entry it is about.
func (e *EntryError) Field() (path, detail string) {
	return fmt.Sprintf("[%d]", e.Index), e.Detail
}

// host reports whether the name is listed.
func (a Allow) host(name string) bool { return slices.Contains(a.hosts, foldHost(name)) }

// addr reports whether the address is in a listed network.
func (a Allow) addr(ip netip.Addr) bool {
	ip = ip.WithZone("")
	return slices.ContainsFunc(a.networks, func(p netip.Prefix) bool {
		return p.Contains(ip) || p.Contains(ip.Unmap()) || p.Contains(plain(ip))
	})
}

// foldHost is a host's name as names are compared.
func foldHost(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// checkName says what is wrong with the name of a host. What some programs
// would read as a number, such as 2130706433, 0177.0.0.1 or 0x7f.1, is none.
func checkName(host string) error {
	host = strings.TrimSuffix(host, ".")
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 {
			return errors.New("is no name of a host")
		}
		for _, c := range []byte(l) {
			switch {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			case c >= 0x80:
				return errors.New("must be written in ASCII, as xn--…")
			default:
				return errors.New("is no name of a host")
			}
		}
	}
	if len(host) > 253 {
		return errors.New("is no name of a host")
	}
	if isNumber(labels[len(labels)-1]) {
		return errors.New("is a number and no name; write an address as 192.0.2.1")
	}
	return nil
}

// isNumber reports whether a label is a number as some resolvers read it.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(strings.ToLower(label), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}
