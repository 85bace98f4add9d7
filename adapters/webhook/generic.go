package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"net/http"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// genericScheme is an HMAC as the config describes it.
type genericScheme struct {
	Signature
	secrets  []chat.Secret
	idHeader string
	newHash  func() hash.Hash
	size     int
	// signed is what is signed: texts, and {body}, {timestamp} and {id}.
	signed []string
}

const (
	bodyPart = "{body}"
	timePart = "{timestamp}"
	idPart   = "{id}"
)

func newGenericScheme(cfg Config) genericScheme {
	s := genericScheme{Signature: cfg.Signature.withDefaults(), secrets: cfg.Secrets, idHeader: cfg.IDHeader, newHash: sha256.New, size: sha256.Size}
	if s.Hash == hashSHA512 {
		s.newHash, s.size = sha512.New, sha512.Size
	}
	s.signed = parts(s.Signed)
	return s
}

// parts splits the text that is signed into its placeholders and what stands
// between them.
func parts(text string) []string {
	var all []string
	for text != "" {
		at, which := len(text), ""
		for _, p := range []string{bodyPart, timePart, idPart} {
			if i := strings.Index(text, p); i >= 0 && i < at {
				at, which = i, p
			}
		}
		if at > 0 {
			all = append(all, text[:at])
		}
		if which != "" {
			all = append(all, which)
		}
		text = text[at+len(which):]
	}
	return all
}

func (s genericScheme) claim(h http.Header) error {
	text, err := required(h, s.Header)
	if err != nil {
		return err
	}
	if _, err = decodeSignature(text, s.Prefix, s.Encoding, s.size); err != nil {
		return err
	}
	for _, name := range []string{s.TimestampHeader, s.idHeader} {
		if name == "" {
			continue
		}
		if _, err := required(h, name); err != nil {
			return err
		}
	}
	return nil
}

func (s genericScheme) verify(h http.Header, body []byte, now time.Time) (string, error) {
	if err := s.claim(h); err != nil {
		return "", err
	}
	signature, err := decodeSignature(h.Get(s.Header), s.Prefix, s.Encoding, s.size)
	if err != nil {
		return "", err
	}
	var at, id string
	if s.TimestampHeader != "" {
		at = h.Get(s.TimestampHeader)
	}
	if s.idHeader != "" {
		id = h.Get(s.idHeader)
	}
	text := make([][]byte, len(s.signed))
	for i, part := range s.signed {
		switch part {
		case bodyPart:
			text[i] = body
		case timePart:
			text[i] = []byte(at)
		case idPart:
			text[i] = []byte(id)
		default:
			text[i] = []byte(part)
		}
	}
	for _, secret := range s.secrets {
		if !hmac.Equal(signature, sign(s.newHash, []byte(secret.Reveal()), text...)) {
			continue
		}
		if s.TimestampHeader != "" {
			if err := recent(at, s.Tolerance, now); err != nil {
				return "", err
			}
		}
		switch {
		case id != "":
			return "id:" + id, nil
		case at != "": // two calls may have the same body
			return digest([]byte(at + "\n" + string(body))), nil
		}
		return digest(body), nil
	}
	return "", errForged
}
