package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// githubScheme is X-Hub-Signature-256:
// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
type githubScheme struct{ secrets []chat.Secret }

const (
	githubSignature = "X-Hub-Signature-256"
	githubDelivery  = "X-GitHub-Delivery"
	githubEvent     = "X-GitHub-Event"
)

func (s githubScheme) claim(h http.Header) error {
	_, err := s.signature(h)
	if err == nil {
		_, err = required(h, githubDelivery)
	}
	if err == nil {
		_, err = required(h, githubEvent)
	}
	return err
}

func (githubScheme) signature(h http.Header) ([]byte, error) {
	text, err := one(h, githubSignature)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errNoSignature
	}
	return decodeSignature(text, "sha256=", hexEncoding, sha256.Size)
}

func (s githubScheme) verify(h http.Header, body []byte, _ time.Time) (string, error) {
	signature, err := s.signature(h)
	if err != nil {
		return "", err
	}
	for _, secret := range s.secrets {
		if hmac.Equal(signature, sign(sha256.New, []byte(secret.Reveal()), body)) {
			return githubID(h, body), nil
		}
	}
	return "", errForged
}

// githubID is what makes a delivery known when it comes again. GitHub signs the
// body alone, so that whoever got hold of a delivery could send it again under
// another ID; bodies differ by the times and numbers in them. Those of
// dispatches need not, and go by their delivery's ID.
func githubID(h http.Header, body []byte) string {
	switch h.Get(githubEvent) {
	case "repository_dispatch", "workflow_dispatch":
		return "delivery:" + h.Get(githubDelivery)
	}
	return digest(body)
}
