package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// standardScheme is Standard Webhooks.
type standardScheme struct {
	keys      [][]byte
	tolerance time.Duration
}

const (
	standardID        = "Webhook-Id"
	standardTime      = "Webhook-Timestamp"
	standardSignature = "Webhook-Signature"
)

// signingKeys decodes secrets that are known to be whsec_ and base64.
func signingKeys(secrets []chat.Secret) [][]byte {
	keys := make([][]byte, 0, len(secrets))
	for _, secret := range secrets {
		if key, err := signingKey(secret); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// signingKey decodes a secret of Standard Webhooks: whsec_ and base64. Its
// error does not show it.
func signingKey(secret chat.Secret) ([]byte, error) {
	text, ok := strings.CutPrefix(secret.Reveal(), signingPrefix)
	if !ok {
		return nil, errors.New("does not begin with " + signingPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("is not base64 after " + signingPrefix)
	}
	const least, most = 16, 1 << 10
	if len(key) < least || len(key) > most {
		return nil, fmt.Errorf("is a key of %d bytes; at least %d are needed", len(key), least)
	}
	return key, nil
}

func (s standardScheme) claim(h http.Header) error {
	for _, name := range []string{standardID, standardTime} {
		if _, err := required(h, name); err != nil {
			return err
		}
	}
	_, err := standardSignatures(h)
	return err
}

// standardSignatures returns the signatures of the version that is known.
func standardSignatures(h http.Header) ([][]byte, error) {
	text, err := one(h, standardSignature)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for i, part := range strings.Fields(text) {
		if i == maxSignatures {
			return nil, fmt.Errorf("it has more than %d signatures", maxSignatures)
		}
		if signature, err := decodeSignature(part, "v1,", base64Encoding, sha256.Size); err == nil {
			all = append(all, signature)
		}
	}
	if len(all) == 0 {
		return nil, errNoSignature
	}
	return all, nil
}

func (s standardScheme) verify(h http.Header, body []byte, now time.Time) (string, error) {
	id, err := required(h, standardID)
	if err != nil {
		return "", err
	}
	at, err := required(h, standardTime)
	if err != nil {
		return "", err
	}
	signatures, err := standardSignatures(h)
	if err != nil {
		return "", err
	}
	for _, key := range s.keys {
		want := sign(sha256.New, key, []byte(id), []byte("."), []byte(at), []byte("."), body)
		for _, signature := range signatures {
			if hmac.Equal(signature, want) {
				return "id:" + id, recent(at, s.tolerance, now)
			}
		}
	}
	return "", errForged
}

// recent reports an error for a time in Unix seconds that is too far from now.
func recent(text string, tolerance time.Duration, now time.Time) error {
	if text == "" || strings.Trim(text, "0123456789") != "" || len(text) > 12 {
		return errors.New("its time is no number of seconds")
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return errors.New("its time is no number of seconds")
	}
	if off := now.Sub(time.Unix(seconds, 0)); off.Abs() > tolerance {
		return fmt.Errorf("its time is %s away from now, and %s is the most; is the clock of this machine right?", off.Abs().Round(time.Second), tolerance)
	}
	return nil
}
