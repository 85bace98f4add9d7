package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"time"
)

const (
	// maxHeader is the longest header that is looked at.
	maxHeader = 4 << 10
	// maxSignatures is how many signatures of one call are compared.
	maxSignatures = 16
	// signingPrefix begins the secrets of Standard Webhooks:
	// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
	signingPrefix = "whsec_"
	// defaultTolerance is how old a call may be where its scheme has a time.
	defaultTolerance = 5 * time.Minute
)

// scheme is how one kind of sender proves who it is.
type scheme interface {
	// claim looks at the headers alone. Its error is about a call that cannot
	// be genuine, so that its body need not be read.
	claim(h http.Header) error
	// verify checks the body as it came, at that time, and returns what makes
	// the delivery known when it comes again.
	verify(h http.Header, body []byte, now time.Time) (id string, err error)
}

// schemeOf returns the config's scheme. The config is valid.
func schemeOf(cfg Config) scheme {
	switch cfg.Provider {
	case GitHub:
		return githubScheme{secrets: cfg.Secrets}
	case GitLab:
		return newGitLabScheme(cfg.Secrets)
	case Standard:
		return standardScheme{keys: signingKeys(cfg.Secrets), tolerance: defaultTolerance}
	}
	return newGenericScheme(cfg)
}

var (
	errNoSignature = errors.New("it is not signed")
	errForged      = errors.New("its signature is of none of the secrets, or of another body")
)

// one returns the only value of a header. There must not be two: who checked
// the first and who reads the second could be different programs.
func one(h http.Header, name string) (string, error) {
	values := h.Values(name)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", fmt.Errorf("it has %d headers %s", len(values), name)
	case len(values[0]) > maxHeader:
		return "", fmt.Errorf("its header %s is %d bytes long", name, len(values[0]))
	}
	return values[0], nil
}

// required is one, of a header without which nothing is proved.
func required(h http.Header, name string) (string, error) {
	value, err := one(h, name)
	if err == nil && value == "" {
		err = fmt.Errorf("it has no header %s", name)
	}
	return value, err
}

// sign returns the HMAC of the parts.
func sign(newHash func() hash.Hash, key []byte, parts ...[]byte) []byte {
	mac := hmac.New(newHash, key)
	for _, p := range parts {
		_, _ = mac.Write(p)
	}
	return mac.Sum(nil)
}

// digest names a body by what it is.
func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "body:" + hex.EncodeToString(sum[:])
}

// The encodings of signatures.
const (
	hexEncoding    = "hex"
	base64Encoding = "base64"
)

// decodeSignature reads a signature of a known size after a prefix.
func decodeSignature(text, prefix, encoding string, size int) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return nil, fmt.Errorf("its signature does not begin with %q", prefix)
	}
	var signature []byte
	var err error
	if encoding == base64Encoding {
		signature, err = base64.StdEncoding.Strict().DecodeString(encoded)
	} else {
		signature, err = hex.DecodeString(encoded)
	}
	if err != nil || len(signature) != size {
		return nil, fmt.Errorf("its signature is not %d bytes in %s", size, encoding)
	}
	return signature, nil
}
