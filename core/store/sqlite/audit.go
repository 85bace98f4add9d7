package sqlite

import (
	"context"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/store/row"
)

var (
	auditQuery = newQuery(`INSERT INTO audit (` + row.AuditColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (space, id) DO NOTHING`)

	auditByCodeQuery = newQuery(`SELECT ` + row.AuditColumns + ` FROM audit INDEXED BY audit_code
		WHERE space = ? AND code = ? ORDER BY num LIMIT 1`)

	auditLogQuery = newQuery(`SELECT ` + row.AuditColumns + ` FROM audit INDEXED BY audit_in WHERE space = ? ORDER BY num DESC LIMIT ?`)
)

// Audit implements access.AuditStore.
func (s *Store) Audit(ctx context.Context, r access.Record) error {
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		_, err := t.exec(auditQuery, row.AuditArgs(&r)...)
		return err
	}})
}

// AuditByCode implements access.AuditStore.
func (s *Store) AuditByCode(ctx context.Context, space, code string) (r access.Record, ok bool, err error) {
	records, err := s.audit(ctx, auditByCodeQuery, space, code)
	if err != nil || len(records) == 0 {
		return r, false, err
	}
	return records[0], true, nil
}

// AuditLog implements access.AuditStore.
func (s *Store) AuditLog(ctx context.Context, space string, max int) ([]access.Record, error) {
	return s.audit(ctx, auditLogQuery, space, int64(max))
}

func (s *Store) audit(ctx context.Context, q *query, args ...any) ([]access.Record, error) {
	rows, err := s.read.query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	records, err := row.Audit(rows)
	return records, s.read.explain(err)
}
