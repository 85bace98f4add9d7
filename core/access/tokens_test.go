package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// memory is a TokenStore that counts how often it is asked.
type memory struct {
	mu     sync.Mutex
	tokens []Token
	asked  int
	broken error
	// during, if set, runs while a lookup is under way.
	during func()
}

func (m *memory) CreateToken(_ context.Context, t Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, old := range m.tokens {
		if old.Space == t.Space && old.Name == t.Name && old.RevokedAt.IsZero() {
			return ErrTokenExists
		}
	}
	m.tokens = append(m.tokens, t)
	return nil
}

func (m *memory) TokenByHash(_ context.Context, hash []byte) (Token, error) {
	t, err := m.find(hash)
	if m.during != nil {
		m.during()
	}
	return t, err
}

func (m *memory) find(hash []byte) (Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.broken != nil {
		return Token{}, m.broken
	}
	for _, t := range m.tokens {
		if bytes.Equal(t.Hash, hash) {
			return t, nil
		}
	}
	return Token{}, ErrNoToken
}

func (m *memory) Tokens(context.Context, string) ([]Token, error) { return m.tokens, nil }

func (m *memory) RevokeToken(_ context.Context, space, name string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, t := range m.tokens {
		if t.Space == space && t.Name == name && t.RevokedAt.IsZero() {
			m.tokens[i].RevokedAt = at
			return nil
		}
	}
	return ErrNoToken
}

// tokenSetup returns tokens on a clock that the test moves.
func tokenSetup(t *testing.T) (*Tokens, *memory, *time.Time) {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := &memory{}
	return NewTokens(m, func() time.Time { return now }), m, &now
}

func TestNewToken(t *testing.T) {
	t.Parallel()
	seen := map[chat.Secret]bool{}
	for range 100 {
		plain, hash := NewToken()
		text := plain.Reveal()
		if !strings.HasPrefix(text, "skd_") || !wellFormed(text) || len(text) != 56 {
			t.Fatalf("a token of %d characters is not well-formed", len(text))
		}
		if sum := sha256.Sum256([]byte(text)); !bytes.Equal(hash, sum[:]) {
			t.Fatal("the hash is not the token's SHA-256")
		}
		if seen[plain] {
			t.Fatal("a token came twice")
		}
		seen[plain] = true
	}
}

func TestCreateAndVerify(t *testing.T) {
	t.Parallel()
	tokens, m, now := tokenSetup(t)
	ctx := context.Background()
	plain, err := tokens.Create(ctx, "default", "ci", RolePush, "", "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tokens.Verify(ctx, plain.Reveal())
	if err != nil || got.Name != "ci" || got.Role != RolePush || got.Principal() != "token:ci" || !got.CreatedAt.Equal(*now) {
		t.Fatalf("Verify = %+v, %v", got, err)
	}
	if _, err := tokens.Create(ctx, "default", "ci", RoleRead, "", ""); !errors.Is(err, ErrTokenExists) {
		t.Errorf("the same name again: %v", err)
	}
	if _, err := tokens.Create(ctx, "other", "ci", RoleRead, "", ""); err != nil {
		t.Errorf("the same name in another space: %v", err)
	}
	if all, err := tokens.List(ctx, "default"); err != nil || len(all) != 2 {
		t.Errorf("List = %v, %v", all, err)
	}
	for _, kept := range m.tokens {
		if bytes.Contains([]byte(fmt.Sprintf("%+v", kept)), []byte(plain.Reveal())) {
			t.Error("the store has the token itself")
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	tokens, m, _ := tokenSetup(t)
	other, _ := NewToken()
	known, err := tokens.Create(context.Background(), "default", "ci", RolePush, "", "")
	if err != nil {
		t.Fatal(err)
	}
	text := known.Reveal()
	for name, plain := range map[string]string{
		"empty":         "",
		"no prefix":     text[4:],
		"short":         text[:len(text)-1],
		"long":          text + "a",
		"capitals":      strings.ToUpper(text),
		"line break":    text[:len(text)-1] + "\n",
		"other letters": text[:len(text)-1] + "1",
		"spaces":        " " + text,
	} {
		if _, err := tokens.Verify(context.Background(), plain); !errors.Is(err, ErrNoToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m.asked != 0 {
		t.Errorf("the store was asked %d times about what cannot be a token", m.asked)
	}
	if _, err := tokens.Verify(context.Background(), other.Reveal()); !errors.Is(err, ErrNoToken) {
		t.Errorf("unknown: %v", err)
	}
	m.broken = errors.New("database away")
	if _, err := tokens.Verify(context.Background(), text); err == nil || errors.Is(err, ErrNoToken) || strings.Contains(err.Error(), text) {
		t.Errorf("with a broken store: %v", err)
	}
}

func TestVerifyComparesTheHash(t *testing.T) {
	t.Parallel()
	tokens, m, _ := tokenSetup(t)
	plain, err := tokens.Create(context.Background(), "default", "ci", RolePush, "", "")
	if err != nil {
		t.Fatal(err)
	}
	tokens.store = wrongRow{m}
	if _, err := tokens.Verify(context.Background(), plain.Reveal()); !errors.Is(err, ErrNoToken) {
		t.Errorf("a row with another hash: %v", err)
	}
}

// wrongRow answers every lookup with a row of another hash.
type wrongRow struct{ *memory }

func (wrongRow) TokenByHash(context.Context, []byte) (Token, error) {
	return Token{Name: "root", Role: RoleAdmin, Hash: make([]byte, sha256.Size)}, nil
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	tokens, m, now := tokenSetup(t)
	ctx := context.Background()
	plain, err := tokens.Create(ctx, "default", "ci", RolePush, "", "")
	if err != nil {
		t.Fatal(err)
	}
	verify := func() error {
		_, err := tokens.Verify(ctx, plain.Reveal())
		return err
	}
	for range 3 {
		if err := verify(); err != nil {
			t.Fatal(err)
		}
	}
	if m.asked != 1 {
		t.Errorf("three verifications asked the store %d times", m.asked)
	}

	t.Log("another process revokes it: it works no more a second later")
	if err := m.RevokeToken(ctx, "default", "ci", *now); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(time.Second)
	if err := verify(); !errors.Is(err, ErrNoToken) {
		t.Errorf("a second after the revocation: %v", err)
	}

	t.Log("this process revokes it: it works no more at once")
	if plain, err = tokens.Create(ctx, "default", "ci", RolePush, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	if err := tokens.Revoke(ctx, "default", "ci"); err != nil {
		t.Fatal(err)
	}
	if err := verify(); !errors.Is(err, ErrNoToken) {
		t.Errorf("after Revoke: %v", err)
	}
	if err := tokens.Revoke(ctx, "default", "ci"); !errors.Is(err, ErrNoToken) {
		t.Errorf("revoking it again: %v", err)
	}
}

func TestRevocationOvertakesVerification(t *testing.T) {
	t.Parallel()
	tokens, m, _ := tokenSetup(t)
	ctx := context.Background()
	plain, err := tokens.Create(ctx, "default", "ci", RolePush, "", "")
	if err != nil {
		t.Fatal(err)
	}
	m.during = func() {
		m.during = nil
		if err := tokens.Revoke(ctx, "default", "ci"); err != nil {
			t.Error(err)
		}
	}
	_, _ = tokens.Verify(ctx, plain.Reveal())
	if _, err := tokens.Verify(ctx, plain.Reveal()); !errors.Is(err, ErrNoToken) {
		t.Errorf("a verification that a revocation overtook was remembered: %v", err)
	}
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	tokens, m, now := tokenSetup(t)
	ctx := context.Background()
	plain, err := tokens.Create(ctx, "default", "ci", RolePush, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Verify(ctx, plain.Reveal()); err != nil {
		t.Fatal(err)
	}
	if err := m.RevokeToken(ctx, "default", "ci", *now); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(-24 * time.Hour)
	if _, err := tokens.Verify(ctx, plain.Reveal()); !errors.Is(err, ErrNoToken) {
		t.Errorf("with the clock a day back the token lives on: %v", err)
	}
}

func TestVerifiedTokensAreForgotten(t *testing.T) {
	t.Parallel()
	tokens, _, now := tokenSetup(t)
	for range sweepAt {
		tokens.remember(sha256.Sum256([]byte(fmt.Sprint(len(tokens.verified)))), verified{at: *now}, 0)
	}
	*now = now.Add(time.Minute)
	tokens.remember(sha256.Sum256([]byte("one more")), verified{at: *now}, 0)
	if n := len(tokens.verified); n != 1 {
		t.Errorf("%d verified tokens are held, want 1", n)
	}
}

func TestVerifyConcurrently(t *testing.T) {
	t.Parallel()
	tokens, _, _ := tokenSetup(t)
	ctx := context.Background()
	plain, err := tokens.Create(ctx, "default", "ci", RolePush, "", "")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				_, _ = tokens.Verify(ctx, plain.Reveal())
			}
		})
	}
	wg.Go(func() { _ = tokens.Revoke(ctx, "default", "ci") })
	wg.Wait()
	if _, err := tokens.Verify(ctx, plain.Reveal()); !errors.Is(err, ErrNoToken) {
		t.Errorf("after Revoke: %v", err)
	}
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, token    string
		role           Role
		agentID, agent string
		want           string
	}{
		{"no such role", "ci", "root", "", "", `there is no role "root"; the roles are admin, push, read and agent`},
		{"no name", "", RolePush, "", "", `the token's name "" must be`},
		{"name with a colon", "agent:web-1", RolePush, "", "", `must be 1 to 63 letters`},
		{"name with a space", "c i", RolePush, "", "", `must be 1 to 63 letters`},
		{"name with a star", "*", RolePush, "", "", `must be 1 to 63 letters`},
		{"name of two lines", "ci\n", RolePush, "", "", `must be 1 to 63 letters`},
		{"agent role without agent", "web-1", RoleAgent, "", "", "belongs to an agent"},
		{"agent for another role", "ci", RolePush, "id", "web-1", "a token of role push belongs to no agent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tokens, m, _ := tokenSetup(t)
			_, err := tokens.Create(context.Background(), "default", tc.token, tc.role, tc.agentID, tc.agent)
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(m.tokens) != 0 {
				t.Errorf("Create = %v; want %q", err, tc.want)
			}
		})
	}
	for _, r := range Roles() {
		if !r.Valid() {
			t.Errorf("role %q is not valid", r)
		}
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	tokens, _, _ := tokenSetup(t)
	ctx := context.Background()
	first, err := tokens.Rotate(ctx, "default", "id-1", "web-1")
	if err != nil {
		t.Fatal(err)
	}
	second, err := tokens.Rotate(ctx, "default", "id-1", "web-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Verify(ctx, first.Reveal()); !errors.Is(err, ErrNoToken) {
		t.Errorf("the old token: %v", err)
	}
	got, err := tokens.Verify(ctx, second.Reveal())
	if err != nil || got.AgentID != "id-1" || got.Agent != "web-1" || got.Role != RoleAgent || got.Name != "agent:web-1" {
		t.Errorf("the new token: %+v, %v", got, err)
	}
}

// meddler is a store on which somebody else rotates at the same time.
type meddler struct {
	*memory
	first int // how often the other is first
}

func (m *meddler) CreateToken(ctx context.Context, t Token) error {
	if m.first > 0 {
		m.first--
		_, hash := NewToken()
		other := t
		other.Hash = hash
		if err := m.memory.CreateToken(ctx, other); err != nil {
			return err
		}
	}
	return m.memory.CreateToken(ctx, t)
}

func TestRotationsAtOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		first int
		err   error
	}{{1, nil}, {3, nil}, {rotateTries, ErrTokenExists}} {
		_, m, now := tokenSetup(t)
		tokens := NewTokens(&meddler{memory: m, first: test.first}, func() time.Time { return *now })
		plain, err := tokens.Rotate(t.Context(), "default", "id-1", "web-1")
		if !errors.Is(err, test.err) {
			t.Fatalf("beaten %d times: %v, want %v", test.first, err, test.err)
		}
		if err != nil {
			continue
		}
		if _, err := tokens.Verify(t.Context(), plain.Reveal()); err != nil {
			t.Errorf("beaten %d times: the new token: %v", test.first, err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	a, m, now := tokenSetup(t)
	b := NewTokens(m, func() time.Time { return *now }) // another node
	plain, err := a.Create(t.Context(), "default", "ci", RolePush, "", "")
	if err != nil {
		t.Fatal(err)
	}
	token, err := b.Verify(t.Context(), plain.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context(), token.Hash); err != nil {
		t.Fatal(err)
	}
	if err := a.Revoke(t.Context(), "default", "ci"); err != nil {
		t.Fatal(err)
	}
	if err := a.Check(t.Context(), token.Hash); !errors.Is(err, ErrNoToken) {
		t.Errorf("after a revocation here: %v", err)
	}
	*now = now.Add(verifiedFor)
	if err := b.Check(t.Context(), token.Hash); !errors.Is(err, ErrNoToken) {
		t.Errorf("half a second after a revocation elsewhere: %v", err)
	}
	if err := b.Check(t.Context(), nil); !errors.Is(err, ErrNoToken) {
		t.Errorf("no token at all: %v", err)
	}
}
