package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/letserverrun/skadi/core/access"
)

const tokenColumns = `hash, space, name, role, agent_id, agent, created_at, revoked_at` //nolint:gosec // no credential

var (
	createTokenQuery = newQuery(`INSERT INTO tokens (` + tokenColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (space, name) WHERE revoked_at = 0 DO NOTHING`)

	tokenQuery = newQuery(`SELECT ` + tokenColumns + ` FROM tokens WHERE hash = ?`)

	tokensQuery = newQuery(`SELECT ` + tokenColumns + ` FROM tokens WHERE space = ?
		ORDER BY revoked_at > 0, name, created_at`)

	revokeTokenQuery = newQuery(`UPDATE tokens SET revoked_at = ? WHERE space = ? AND name = ? AND revoked_at = 0`)
)

// CreateToken implements access.TokenStore.
func (s *Store) CreateToken(ctx context.Context, token access.Token) error {
	return s.write.do(ctx, &work{rows: 1, do: func(t *tx) error {
		n, err := t.exec(createTokenQuery, token.Hash, token.Space, token.Name, string(token.Role), token.AgentID, token.Agent,
			micros(token.CreatedAt), micros(token.RevokedAt))
		if err == nil && n == 0 {
			return refuse(access.ErrTokenExists)
		}
		return err
	}})
}

// tokenRow is a row of tokens while it is read.
type tokenRow struct {
	token            access.Token
	role             string
	created, revoked int64
}

func (r *tokenRow) dest() []any {
	t := &r.token
	return []any{&t.Hash, &t.Space, &t.Name, &r.role, &t.AgentID, &t.Agent, &r.created, &r.revoked}
}

func (r *tokenRow) read() access.Token {
	t := r.token
	t.Role, t.CreatedAt, t.RevokedAt = access.Role(r.role), timeOf(r.created), timeOf(r.revoked)
	return t
}

// TokenByHash implements access.TokenStore.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (access.Token, error) {
	var r tokenRow
	found, err := s.read.row(ctx, tokenQuery, []any{hash}, r.dest()...)
	if err == nil && !found {
		err = access.ErrNoToken
	}
	if err != nil {
		return access.Token{}, err
	}
	return r.read(), nil
}

// Tokens implements access.TokenStore.
func (s *Store) Tokens(ctx context.Context, space string) (tokens []access.Token, err error) {
	rows, err := s.read.query(ctx, tokensQuery, space)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.read.explain(rows.Close())) }()
	for rows.Next() {
		var r tokenRow
		if err := rows.Scan(r.dest()...); err != nil {
			return nil, s.read.explain(err)
		}
		tokens = append(tokens, r.read())
	}
	return tokens, s.read.explain(rows.Err())
}

// RevokeToken implements access.TokenStore.
func (s *Store) RevokeToken(ctx context.Context, space, name string, at time.Time) error {
	return s.write.do(ctx, &work{rows: 1, do: func(t *tx) error {
		n, err := t.exec(revokeTokenQuery, micros(at), space, name)
		if err == nil && n == 0 {
			return refuse(access.ErrNoToken)
		}
		return err
	}})
}
