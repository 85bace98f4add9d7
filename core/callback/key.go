package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// keyPrefix begins a secret as Standard Webhooks writes it.
	keyPrefix = "whsec_"
	minKey    = 24
	maxKey    = 64
)

// Key is a secret that calls are signed with.
type Key struct{ secret []byte }

// ParseKey reads a secret: whsec_ and 24 to 64 bytes in base64. Its error shows
// nothing of it.
func ParseKey(secret chat.Secret) (Key, error) {
	text, ok := strings.CutPrefix(secret.Reveal(), keyPrefix)
	raw, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(raw) < minKey || len(raw) > maxKey {
		return Key{}, fmt.Errorf("must be %s and %d to %d random bytes in base64; "+
			"one is made by: echo %s$(openssl rand -base64 32)", keyPrefix, minKey, maxKey, keyPrefix)
	}
	return Key{raw}, nil
}

// String shows no secret.
func (Key) String() string { return chat.Secret("").String() }

// GoString shows no secret.
func (k Key) GoString() string { return k.String() }

// sign returns the signatures of all keys.
func sign(keys []Key, id, at, body string) string {
	all := make([]string, len(keys))
	for i, k := range keys {
		h := hmac.New(sha256.New, k.secret)
		_, _ = h.Write([]byte(id + "." + at + "." + body))
		all[i] = "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	return strings.Join(all, " ")
}
