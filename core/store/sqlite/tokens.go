package sqlite

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/store/row"
)

var (
	createTokenQuery = newQuery(`INSERT INTO tokens (` + row.TokenColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (space, name) WHERE revoked_at = 0 DO NOTHING`)

	tokenQuery = newQuery(`SELECT ` + row.TokenColumns + ` FROM tokens WHERE hash = ?`)

	tokensQuery = newQuery(`SELECT ` + row.TokenColumns + ` FROM tokens WHERE space = ?
		ORDER BY revoked_at > 0, name, created_at`)

	revokeTokenQuery = newQuery(`UPDATE tokens SET revoked_at = ? WHERE space = ? AND name = ? AND revoked_at = 0`)
)

// CreateToken implements access.TokenStore.
func (s *Store) CreateToken(ctx context.Context, token access.Token) error {
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		n, err := t.exec(createTokenQuery, row.TokenArgs(&token)...)
		if err == nil && n == 0 {
			return refuse(access.ErrTokenExists)
		}
		return err
	}})
}

// TokenByHash implements access.TokenStore.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (access.Token, error) {
	found, err := s.tokens(ctx, tokenQuery, hash)
	if err == nil && len(found) == 0 {
		err = access.ErrNoToken
	}
	if err != nil {
		return access.Token{}, err
	}
	return found[0], nil
}

// Tokens implements access.TokenStore.
func (s *Store) Tokens(ctx context.Context, space string) ([]access.Token, error) {
	return s.tokens(ctx, tokensQuery, space)
}

func (s *Store) tokens(ctx context.Context, q *query, args ...any) ([]access.Token, error) {
	rows, err := s.read.query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	tokens, err := row.Tokens(rows)
	return tokens, s.read.explain(err)
}

// RevokeToken implements access.TokenStore.
func (s *Store) RevokeToken(ctx context.Context, space, name string, at time.Time) error {
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		n, err := t.exec(revokeTokenQuery, row.Micros(at), space, name)
		if err == nil && n == 0 {
			return refuse(access.ErrNoToken)
		}
		return err
	}})
}
