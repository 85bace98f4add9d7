package mysql

import (
	"context"
	"slices"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/store/row"
)

// CreateToken implements access.TokenStore.
func (s *Store) CreateToken(ctx context.Context, token access.Token) error {
	token.Hash = slices.Clone(token.Hash) // the caller may leave before it is done
	return s.write(ctx, 1, func(t *tx) error {
		args := row.TokenArgs(&token)
		_, err := t.exec(`INSERT INTO tokens (`+row.TokenColumns+`) VALUES `+in(len(args)), args...)
		if number(err) == erDuplicate {
			return refuse(access.ErrTokenExists)
		}
		return err
	})
}

// TokenByHash implements access.TokenStore.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (access.Token, error) {
	if hash == nil {
		hash = []byte{} // nil would be NULL
	}
	tokens, err := s.tokens(ctx, `SELECT `+row.TokenColumns+` FROM tokens WHERE hash = ?`, hash)
	if err == nil && len(tokens) == 0 {
		err = access.ErrNoToken
	}
	if err != nil {
		return access.Token{}, err
	}
	return tokens[0], nil
}

// Tokens implements access.TokenStore.
func (s *Store) Tokens(ctx context.Context, space string) ([]access.Token, error) {
	return s.tokens(ctx, `SELECT `+row.TokenColumns+` FROM tokens WHERE space = ?
		ORDER BY revoked_at > 0, name, created_at`, space)
}

func (s *Store) tokens(ctx context.Context, text string, args ...any) ([]access.Token, error) {
	from, err := s.query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	tokens, err := row.Tokens(from)
	return tokens, s.explain(err)
}

// RevokeToken implements access.TokenStore.
func (s *Store) RevokeToken(ctx context.Context, space, name string, at time.Time) error {
	return s.write(ctx, 1, func(t *tx) error {
		n, err := t.exec(`UPDATE tokens SET revoked_at = ? WHERE space = ? AND live_name = ?`, row.Micros(at), space, name)
		if err == nil && n == 0 {
			return refuse(access.ErrNoToken)
		}
		return err
	})
}
