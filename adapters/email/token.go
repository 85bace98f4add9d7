package email

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// What Skadi sends out and recognises when it comes back is signed: the
// Message-ID of a reply, which says in which job's thread an answer stands, and
// the envelope sender, which says which reply bounced. Neither proves who
// writes; that is checked as for any mail.

const (
	hashLength = 16 // of an Outbound.ID
	macLength  = 24 // 120 bits
	// codeLength is the longest code that a token carries.
	codeLength = 16

	threadPrefix = "skadi"
	bouncePrefix = "b="

	keySize    = 32
	keyName    = "signing-key"
	keyLease   = "signing-key"
	keyMaking  = 10 * time.Second // how long making the key may take
	keyWaiting = 50 * time.Millisecond
)

var encoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// digest is a short name of anything, in small letters and digits.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return encoding.EncodeToString(h.Sum(nil))[:hashLength]
}

// thread is what the Message-ID of a reply says.
type thread struct {
	// code is the job's; empty where the reply is about none.
	code string
	// hash is the digest of the Outbound.ID.
	hash string
	mac  string
}

// messageID returns the Message-ID without angle brackets.
func (t thread) messageID(domain string) string {
	code := t.code
	if code == "" {
		code = "-"
	}
	return threadPrefix + "." + code + "." + t.hash + "." + t.mac + "@" + domain
}

// parseThread reads a Message-ID, with or without angle brackets. Whether the
// signature is right is not said by that.
func parseThread(id string) (t thread, ok bool) {
	id = strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
	local, _, _ := strings.Cut(id, "@")
	parts := strings.Split(local, ".")
	if len(parts) != 4 || parts[0] != threadPrefix || !isToken(parts[2], hashLength) || !isToken(parts[3], macLength) {
		return thread{}, false
	}
	t = thread{code: parts[1], hash: parts[2], mac: parts[3]}
	if t.code == "-" {
		t.code = ""
	} else if !isCode(t.code) {
		return thread{}, false
	}
	return t, true
}

// bounceTag is what stands behind the plus of an envelope sender.
func bounceTag(hash, mac string) string { return bouncePrefix + hash + "=" + mac }

// parseBounceTag reads what stands behind the plus of an address.
func parseBounceTag(tag string) (hash, mac string, ok bool) {
	rest, ok := strings.CutPrefix(tag, bouncePrefix)
	hash, mac, cut := strings.Cut(rest, "=")
	return hash, mac, ok && cut && isToken(hash, hashLength) && isToken(mac, macLength)
}

func isToken(s string, length int) bool {
	return len(s) == length && !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'v') })
}

// isCode reports whether s can be a job's code.
func isCode(s string) bool {
	return s != "" && len(s) <= codeLength && !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') })
}

// signer signs with a key that all nodes share and that nobody chose.
type signer struct {
	account string
	kv      chat.KV
	lease   chat.Leaser

	mu  sync.Mutex
	key []byte
}

// thread signs the Message-ID of a reply.
func (s *signer) thread(ctx context.Context, code, outboundID string) (thread, error) {
	if !isCode(code) {
		code = ""
	}
	t := thread{code: code, hash: digest(outboundID)}
	key, err := s.get(ctx)
	if err != nil {
		return thread{}, err
	}
	t.mac = s.mac(key, "thread", t.code, t.hash)
	return t, nil
}

// bounce signs the tag of an envelope sender.
func (s *signer) bounce(ctx context.Context, outboundID string) (tag string, err error) {
	key, err := s.get(ctx)
	if err != nil {
		return "", err
	}
	hash := digest(outboundID)
	return bounceTag(hash, s.mac(key, "bounce", hash)), nil
}

// isThread reports whether the token is one of ours.
func (s *signer) isThread(ctx context.Context, t thread) (bool, error) {
	return s.isOurs(ctx, t.mac, "thread", t.code, t.hash)
}

// isBounce reports whether the tag is one of ours.
func (s *signer) isBounce(ctx context.Context, hash, mac string) (bool, error) {
	return s.isOurs(ctx, mac, "bounce", hash)
}

func (s *signer) isOurs(ctx context.Context, mac string, parts ...string) (bool, error) {
	key, err := s.get(ctx)
	if err != nil {
		return false, err
	}
	return hmac.Equal([]byte(mac), []byte(s.mac(key, parts...))), nil
}

func (s *signer) mac(key []byte, parts ...string) string {
	h := hmac.New(sha256.New, key)
	for _, p := range append([]string{s.account}, parts...) {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return encoding.EncodeToString(h.Sum(nil))[:macLength]
}

// get returns the key, and makes it where there is none yet. Only the node that
// holds the lease makes one, so that no two nodes sign with different ones.
func (s *signer) get(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.key == nil {
		key, ok, err := s.kv.Get(ctx, keyName)
		if err != nil {
			return nil, fmt.Errorf("read the key that signs replies: %w", err)
		}
		if ok && len(key) == keySize {
			s.key = key
			break
		}
		if s.key, err = s.make(ctx); err != nil {
			return nil, fmt.Errorf("make the key that signs replies: %w", err)
		}
	}
	return s.key, nil
}

// make makes the key, or returns nothing where another node does that now.
func (s *signer) make(ctx context.Context) ([]byte, error) {
	_, held, err := s.lease.Acquire(ctx, keyLease, keyMaking)
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, wait(ctx, keyWaiting)
	}
	key, ok, err := s.kv.Get(ctx, keyName) // since the last holder may have made it
	if err == nil && (!ok || len(key) != keySize) {
		key = make([]byte, keySize)
		_, _ = rand.Read(key)
		err = s.kv.Set(ctx, keyName, key, 0)
	}
	if err = errors.Join(err, s.lease.Release(ctx, keyLease)); err != nil {
		return nil, err
	}
	return key, nil
}

// wait waits for d or the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
