package message

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-message/mail"
	"golang.org/x/net/idna"
)

// Address is an address in a mail.
type Address struct {
	// Raw is local@domain as it was written, without comments and quotes.
	Raw string
	// Name is the display name, decoded. Nothing is decided by it.
	Name string
	// Local is the part before the @ as it was written, without quotes.
	Local string
	// Domain is in small letters and ASCII (punycode), without a dot at its end.
	Domain string
}

// String returns the address normalised: Local in small letters, @, Domain.
func (a Address) String() string { return strings.ToLower(a.Local) + "@" + a.Domain }

// Errors of addresses never quote them: they go into logs.
var (
	errNoAddress = errors.New("is no list of addresses")
	errDomain    = errors.New("has an address whose domain is none")
)

// domains is what idna's Lookup profile is, but for letters that the DNS does
// not allow and mail systems use all the same, such as underscores.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckJoiners(true), idna.StrictDomainName(false), idna.VerifyDNSLength(true))

// ParseAddresses reads the value of a field such as To. Groups count as their
// members; source routes are an error.
func ParseAddresses(value string) ([]Address, error) {
	if len(value) > maxHeader || !utf8.ValidString(value) {
		return nil, errNoAddress
	}
	list, err := mail.ParseAddressList(value)
	if err != nil {
		if isEmptyGroup(value) {
			return nil, nil
		}
		return nil, errNoAddress
	}
	all := make([]Address, 0, len(list))
	for _, a := range list {
		at := strings.LastIndexByte(a.Address, '@')
		if at < 1 || strings.ContainsFunc(a.Address, unicode.IsControl) {
			return nil, errNoAddress
		}
		domain, err := asciiDomain(a.Address[at+1:])
		if err != nil {
			return nil, err
		}
		all = append(all, Address{Raw: a.Address, Name: oneLine(a.Name), Local: a.Address[:at], Domain: domain})
	}
	return all, nil
}

// isEmptyGroup is for undisclosed-recipients:; which names nobody.
func isEmptyGroup(value string) bool {
	name, rest, found := strings.Cut(strings.TrimSpace(value), ":")
	return found && strings.TrimSpace(rest) == ";" && !strings.ContainsAny(name, `<>@,;"`)
}

// maxDomain is longer than any domain: the DNS has 253 characters, of up to four
// bytes each.
const maxDomain = 253 * utf8.UTFMax

func asciiDomain(domain string) (string, error) {
	if len(domain) > maxDomain {
		return "", errDomain // Punycode takes time by the square of it
	}
	if strings.HasPrefix(domain, "[") {
		return strings.ToLower(domain), nil // an IP address
	}
	ascii, err := domains.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil || ascii == "" {
		return "", errDomain
	}
	return strings.ToLower(ascii), nil
}

// oneLine makes one line of text that may have been meant to break it.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.TrimSpace(s)
}
