package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// TokensSince tells what a restore has to do with tokens that changed after the
// backup was made.
type TokensSince struct {
	// Revoked are the names of those that were revoked since, and stay so.
	Revoked []string
	// Unknown are the names of good ones that were made since, which the backup
	// does not have.
	Unknown []string
	// Unread says that the database that was there is gone or could not be read,
	// so that tokens revoked since are good again.
	Unread bool
}

// keepRevoked revokes in the backup what is revoked in the database at path, so
// that no restore makes a stolen token good again.
func keepRevoked(ctx context.Context, path, backup string) (since TokensSince, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return TokensSince{Unread: true}, nil
	}
	now, err := readTokens(ctx, dsn(path, schemaBusy))
	if err != nil {
		return TokensSince{Unread: true}, ctx.Err()
	}
	db, err := sql.Open("sqlite", plainDSN(backup))
	if err != nil {
		return since, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, t := range now {
		var found int
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM tokens WHERE hash = ?`, t.hash).Scan(&found); err != nil {
			return since, err
		}
		switch {
		case found == 0 && t.revokedAt == 0:
			since.Unknown = append(since.Unknown, t.name)
		case found == 1 && t.revokedAt != 0:
			r, err := db.ExecContext(ctx, `UPDATE tokens SET revoked_at = ? WHERE hash = ? AND revoked_at = 0`, t.revokedAt, t.hash)
			if err != nil {
				return since, fmt.Errorf("revoke %s: %w", t.name, err)
			}
			if n, err := r.RowsAffected(); err != nil {
				return since, err
			} else if n > 0 {
				since.Revoked = append(since.Revoked, t.name)
			}
		}
	}
	return since, nil
}

type tokenState struct {
	hash      []byte
	name      string
	revokedAt int64
}

func readTokens(ctx context.Context, dsn string) (all []tokenState, err error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, `SELECT hash, name, revoked_at FROM tokens ORDER BY name, created_at`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var t tokenState
		if err := rows.Scan(&t.hash, &t.name, &t.revokedAt); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}
