package identity

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"
)

// organisation returns the domain that somebody has registered: example.com of
// mail.example.com. Empty if domain is not below one.
func organisation(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return ""
	}
	return org
}

func sameOrganisation(a, b string) bool {
	org := organisation(a)
	return org != "" && org == organisation(b)
}

// aligned reports whether what domain has signed speaks for from: it is the
// same domain, or one of the same organisation if from's DMARC record allows
// that. Without a record nobody said that other parts of an organisation may
// speak for this one. The error is one that passes.
func (v *Verifier) aligned(ctx context.Context, domain, from string) (bool, error) {
	if organisation(from) == "" {
		return false, nil
	}
	if domain == from {
		return true, nil
	}
	if !sameOrganisation(domain, from) {
		return false, nil
	}
	for _, at := range slices.Compact([]string{from, organisation(from)}) {
		record, err := v.policy(ctx, at)
		switch {
		case err == nil:
			return record.DKIMAlignment == dmarc.AlignmentRelaxed, nil
		case errors.Is(err, errPassing):
			return false, err
		}
	}
	return false, nil
}

// errPassing marks what may be otherwise the next time.
var errPassing = errors.New("the DNS did not answer")

// policy looks a DMARC record up.
func (v *Verifier) policy(ctx context.Context, domain string) (*dmarc.Record, error) {
	var failed error
	record, err := dmarc.LookupWithOptions(domain, &dmarc.LookupOptions{LookupTXT: func(name string) ([]string, error) {
		txt, err := v.txt(ctx, name)
		if passes(err) {
			failed = err
		}
		return txt, err
	}})
	if failed != nil {
		return nil, fmt.Errorf("%w for the DMARC record of %s: %w", errPassing, domain, failed)
	}
	return record, err
}

// passes reports whether an answer of the DNS may be another the next time.
func passes(err error) bool {
	if err == nil {
		return false
	}
	var dns *net.DNSError
	return !errors.As(err, &dns) || !dns.IsNotFound
}

// normal is a domain as it is compared.
func normal(domain string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(domain), "."))
}
