package tencent

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/silenceper/wechat/v2/cache"

	"github.com/letserverrun/skadi/core/chat"
)

// libraryMargin is what the library takes off expires_in.
const libraryMargin = 1500 * time.Second

// entry is a token and until when it is used.
type entry struct {
	Token string    `json:"token"`
	Until time.Time `json:"until"`
}

func (e entry) good(now time.Time) bool { return e.Token != "" && now.Before(e.Until) }

// shared keeps a token where all nodes see it, sealed.
type shared struct {
	kv    chat.KV
	key   string
	seal  seal
	clock chat.Clock
}

// load returns what is kept, which may be nothing. What cannot be opened was
// kept with another secret, and counts as nothing.
func (s shared) load(ctx context.Context) (entry, error) {
	sealed, ok, err := s.kv.Get(ctx, s.key)
	if err != nil {
		return entry{}, fmt.Errorf("looking for the nodes' access token: %w", err)
	}
	var e entry
	if ok {
		if raw, err := s.seal.open(sealed); err == nil {
			_ = json.Unmarshal(raw, &e)
		}
	}
	return e, nil
}

func (s shared) store(ctx context.Context, e entry) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("keeping the access token: %w", err)
	}
	if err := s.kv.Set(ctx, s.key, s.seal.close(raw), max(e.Until.Sub(s.clock()), time.Second)); err != nil {
		return fmt.Errorf("keeping the access token for all nodes: %w", err)
	}
	return nil
}

// granted is the cache that the library sees while it gets one new token: it is
// empty at first and passes on what is put into it.
type granted struct {
	shared
	ctx   context.Context //nolint:containedctx // the library's caches get none
	entry entry
}

var _ cache.Cache = (*granted)(nil)

// Get implements cache.Cache.
func (g *granted) Get(string) any {
	if g.entry.Token == "" {
		return nil
	}
	return g.entry.Token
}

// IsExist implements cache.Cache.
func (g *granted) IsExist(string) bool { return g.entry.Token != "" }

// Delete implements cache.Cache.
func (g *granted) Delete(string) error {
	g.entry = entry{}
	return g.kv.Delete(g.ctx, g.key)
}

// Set implements cache.Cache. The library gives what is left of expires_in
// after its margin, which is less than nothing where a token is good for a short
// time only; of such a token a fifth is left unused.
func (g *granted) Set(_ string, value any, left time.Duration) error {
	text, ok := value.(string)
	if !ok || text == "" {
		return nil
	}
	life := left + libraryMargin
	g.entry = entry{Token: text, Until: g.clock().Add(max(life-min(libraryMargin, life/5), 0))}
	return g.store(g.ctx, g.entry)
}

// seal hides a token from whoever reads the database without the secret.
type seal struct{ aead cipher.AEAD }

func newSeal(secret chat.Secret) seal {
	key, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "skadi wechat token", 32)
	if err != nil {
		panic("a key of 32 bytes cannot be made: " + err.Error())
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("a key of 32 bytes is none: " + err.Error())
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("AES has no GCM: " + err.Error())
	}
	return seal{aead}
}

// The nonce is random, and part of what is sealed.
func (s seal) close(raw []byte) []byte { return s.aead.Seal(nil, nil, raw, nil) } //nolint:gosec

func (s seal) open(sealed []byte) ([]byte, error) { return s.aead.Open(nil, nil, sealed, nil) }
