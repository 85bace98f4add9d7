package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// TokenPrefix begins every token, so that scanners for leaked secrets know it.
const TokenPrefix = "skd_"

const (
	tokenBytes = 32 // 256 bits
	// verifiedFor is how long a token is trusted without asking the store. A
	// revocation by another process or node works after that at the latest.
	verifiedFor = 500 * time.Millisecond
	// sweepAt is how many verified tokens are held before old ones are
	// dropped.
	sweepAt = 4096
)

// tokenText encodes what follows the prefix: lower case, so that it can be
// read aloud, and nothing that a double click would stop at.
var tokenText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// tokenChars is how long what follows the prefix is.
var tokenChars = tokenText.EncodedLen(tokenBytes)

// wellFormed says whether text looks like every token does; the store is not
// asked about anything else.
func wellFormed(text string) bool {
	secret, ok := strings.CutPrefix(text, TokenPrefix)
	if !ok || len(secret) != tokenChars {
		return false
	}
	for _, c := range []byte(secret) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

var tokenName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// Roles lists the roles, the mightiest first.
func Roles() []Role { return []Role{RoleAdmin, RolePush, RoleRead, RoleAgent} }

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool {
	switch r {
	case RoleAdmin, RolePush, RoleRead, RoleAgent:
		return true
	}
	return false
}

// Principal returns the token as access rules write it: token:NAME.
func (t Token) Principal() string { return TokenPrincipal(t.Name) }

// NewToken makes a token and the hash to store it by.
func NewToken() (plain chat.Secret, hash []byte) {
	var secret [tokenBytes]byte
	_, _ = rand.Read(secret[:]) // never fails: the program ends instead
	text := TokenPrefix + tokenText.EncodeToString(secret[:])
	return chat.Secret(text), hashToken(text)
}

// hashToken needs no salt and no slow hash: the token has 256 random bits.
func hashToken(plain string) []byte {
	sum := sha256.Sum256([]byte(plain))
	return sum[:]
}

// AgentTokenName returns the name of an agent's token. No other token can
// have it, since the names of others contain no colon.
func AgentTokenName(agent string) string { return "agent:" + agent }

// Tokens makes and verifies tokens. Its methods may be called concurrently.
type Tokens struct {
	store TokenStore
	clock chat.Clock

	mu       sync.RWMutex
	verified map[[sha256.Size]byte]verified
	// revoked counts the revocations, so that a verification which one of
	// them overtook is not remembered.
	revoked int
}

type verified struct {
	token Token
	at    time.Time
}

// NewTokens returns the tokens of a store.
func NewTokens(store TokenStore, clock chat.Clock) *Tokens {
	return &Tokens{store: store, clock: clock, verified: map[[sha256.Size]byte]verified{}}
}

// Create makes a token and returns it; it is never shown again. A RoleAgent
// token needs the agent's ID and name, and is named after it if name is empty.
// ErrTokenExists: a live token has that name.
func (t *Tokens) Create(ctx context.Context, space, name string, role Role, agentID, agent string) (chat.Secret, error) {
	if role == RoleAgent && name == "" {
		name = AgentTokenName(agent)
	}
	if err := validToken(name, role, agentID, agent); err != nil {
		return "", err
	}
	plain, hash := NewToken()
	err := t.store.CreateToken(ctx, Token{
		Hash: hash, Space: space, Name: name, Role: role,
		AgentID: agentID, Agent: agent, CreatedAt: t.clock().UTC(),
	})
	if err != nil {
		return "", fmt.Errorf("token %q: %w", name, err)
	}
	return plain, nil
}

func validToken(name string, role Role, agentID, agent string) error {
	switch {
	case !role.Valid():
		return fmt.Errorf("there is no role %q; the roles are admin, push, read and agent", role)
	case role == RoleAgent && (agentID == "" || agent == ""):
		return errors.New("a token of role agent belongs to an agent, and none was given")
	case role == RoleAgent && name == AgentTokenName(agent):
		return nil
	case role != RoleAgent && (agentID != "" || agent != ""):
		return fmt.Errorf("a token of role %s belongs to no agent", role)
	case !tokenName.MatchString(name):
		return fmt.Errorf("the token's name %q must be 1 to 63 letters, digits, '.', '_' and '-', with a letter or digit at both ends", name)
	}
	return nil
}

// rotateTries is how often a rotation that meets others is tried.
const rotateTries = 10

// Rotate gives an agent a new token in place of the one named after it. If it
// fails half-way the agent has none, and rotating again mends that. Of several
// rotations at once, whichever comes last has made the live token; one that
// others overtake again and again gets ErrTokenExists.
func (t *Tokens) Rotate(ctx context.Context, space, agentID, agent string) (plain chat.Secret, err error) {
	for range rotateTries {
		err = t.Revoke(ctx, space, AgentTokenName(agent))
		if err != nil && !errors.Is(err, ErrNoToken) {
			return "", err
		}
		plain, err = t.Create(ctx, space, "", RoleAgent, agentID, agent)
		if !errors.Is(err, ErrTokenExists) {
			return plain, err
		}
	}
	return "", err
}

// Verify returns the live token that plain is, or ErrNoToken. Any other error
// means that the store could not be asked; the caller is then let in nowhere.
func (t *Tokens) Verify(ctx context.Context, plain string) (Token, error) {
	if !wellFormed(plain) {
		return Token{}, ErrNoToken
	}
	return t.verify(ctx, sha256.Sum256([]byte(plain)))
}

// Check returns ErrNoToken if the token with this hash, which was verified
// before, was revoked since. It is for calls that wait, and knows of a
// revocation when Verify does: at once in this process, within half a second
// in others.
func (t *Tokens) Check(ctx context.Context, hash []byte) error {
	if len(hash) != sha256.Size {
		return ErrNoToken
	}
	_, err := t.verify(ctx, [sha256.Size]byte(hash))
	return err
}

func (t *Tokens) verify(ctx context.Context, hash [sha256.Size]byte) (Token, error) {
	now := t.clock()
	token, ok, revoked := t.cached(hash, now)
	if ok {
		return token, nil
	}
	token, err := t.store.TokenByHash(ctx, hash[:])
	switch {
	case errors.Is(err, ErrNoToken):
		return Token{}, ErrNoToken
	case err != nil:
		return Token{}, fmt.Errorf("verify a token: %w", err)
	case subtle.ConstantTimeCompare(token.Hash, hash[:]) != 1, !token.RevokedAt.IsZero():
		return Token{}, ErrNoToken
	}
	t.remember(hash, verified{token: token, at: now}, revoked)
	return token, nil
}

func (t *Tokens) cached(hash [sha256.Size]byte, now time.Time) (token Token, ok bool, revoked int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.verified[hash]
	return v.token, ok && v.fresh(now), t.revoked
}

// fresh also ends when the clock was set back, or a token could outlive its
// revocation by as much.
func (v verified) fresh(now time.Time) bool {
	age := now.Sub(v.at)
	return age >= 0 && age < verifiedFor
}

func (t *Tokens) remember(hash [sha256.Size]byte, v verified, revoked int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.revoked != revoked {
		return
	}
	if len(t.verified) >= sweepAt {
		for h, old := range t.verified {
			if !old.fresh(v.at) {
				delete(t.verified, h)
			}
		}
	}
	t.verified[hash] = v
}

// List returns a space's tokens by name, revoked ones last.
func (t *Tokens) List(ctx context.Context, space string) ([]Token, error) {
	return t.store.Tokens(ctx, space)
}

// Revoke makes the live token of that name useless: at once in this process,
// within half a second in others. ErrNoToken: there is none.
func (t *Tokens) Revoke(ctx context.Context, space, name string) error {
	err := t.store.RevokeToken(ctx, space, name, t.clock().UTC())
	t.mu.Lock()
	defer t.mu.Unlock()
	t.revoked++
	for h, v := range t.verified {
		if v.token.Space == space && v.token.Name == name {
			delete(t.verified, h)
		}
	}
	if err != nil {
		return fmt.Errorf("token %q: %w", name, err)
	}
	return nil
}
