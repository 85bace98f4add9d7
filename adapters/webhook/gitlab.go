package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// gitlabScheme is the signing token, which is Standard Webhooks, or the secret
// token, which comes as it is:
// https://docs.gitlab.com/user/project/integrations/webhooks/
type gitlabScheme struct {
	signed standardScheme
	tokens []chat.Secret
}

const gitlabToken = "X-Gitlab-Token" //nolint:gosec // a header's name

func newGitLabScheme(secrets []chat.Secret) gitlabScheme {
	s := gitlabScheme{signed: standardScheme{tolerance: defaultTolerance}}
	for _, secret := range secrets {
		if strings.HasPrefix(secret.Reveal(), signingPrefix) {
			s.signed.keys = append(s.signed.keys, signingKeys([]chat.Secret{secret})...)
		} else {
			s.tokens = append(s.tokens, secret)
		}
	}
	return s
}

// usesSignature reports whether the signature is what counts of the call.
func (s gitlabScheme) usesSignature(h http.Header) bool {
	return len(s.signed.keys) > 0 && (len(s.tokens) == 0 || len(h.Values(standardSignature)) > 0)
}

func (s gitlabScheme) claim(h http.Header) error {
	if s.usesSignature(h) {
		return s.signed.claim(h)
	}
	text, err := one(h, gitlabToken)
	if err == nil && text == "" {
		return fmt.Errorf("it has no header %s", gitlabToken)
	}
	return err
}

func (s gitlabScheme) verify(h http.Header, body []byte, now time.Time) (string, error) {
	if s.usesSignature(h) {
		return s.signed.verify(h, body, now)
	}
	given, err := required(h, gitlabToken)
	if err != nil {
		return "", err
	}
	for _, token := range s.tokens {
		// Of sums, so that not even the length of the token shows.
		want, got := sha256.Sum256([]byte(token.Reveal())), sha256.Sum256([]byte(given))
		if subtle.ConstantTimeCompare(want[:], got[:]) == 1 {
			return gitlabID(h, body)
		}
	}
	return "", errors.New("its token is none of the secrets")
}

// gitlabID is the key that stays the same when GitLab tries again. Older
// servers send none; the ID of their event is shared by what follows of it.
func gitlabID(h http.Header, body []byte) (string, error) {
	key, err := one(h, "Idempotency-Key")
	if err != nil || key != "" {
		return "key:" + key, err
	}
	event, err := one(h, "X-Gitlab-Event-UUID")
	if err != nil || event == "" {
		return digest(body), err
	}
	return "event:" + event + "/" + digest(body), nil
}
