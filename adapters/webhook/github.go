package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
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
	if isDispatch(h.Get(githubEvent), body) {
		return "delivery:" + h.Get(githubDelivery)
	}
	return digest(body)
}

// isDispatch reports whether the body is that of a dispatch, too. The event's
// name is not signed, and would make a push known by an ID of anybody's choice.
// https://docs.github.com/webhooks/webhook-events-and-payloads
func isDispatch(event string, body []byte) bool {
	var has map[string]json.RawMessage
	var only []string // fields that no other event has together
	switch event {
	case "repository_dispatch":
		only = []string{"client_payload", "branch"}
	case "workflow_dispatch":
		only = []string{"inputs", "workflow"}
	default:
		return false
	}
	if json.Unmarshal(body, &has) != nil {
		return false
	}
	for _, field := range only {
		if _, ok := has[field]; !ok {
			return false
		}
	}
	return true
}
