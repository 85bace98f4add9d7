package mysql

import (
	"context"
	"strings"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/store/row"
)

// Audit implements access.AuditStore.
func (s *Store) Audit(ctx context.Context, r access.Record) error {
	r.ID = keyText(r.ID)
	for _, text := range []*string{&r.Who, &r.Name, &r.Where, &r.Action, &r.Target} {
		*text = shortText(*text)
	}
	for _, text := range []*string{&r.Text, &r.Why} {
		*text = strings.ToValidUTF8(*text, "\uFFFD")
	}
	return s.write(ctx, 1, func(t *tx) error {
		args := row.AuditArgs(&r)
		_, err := t.exec(`INSERT INTO audit (`+row.AuditColumns+`) VALUES `+in(len(args))+` ON DUPLICATE KEY UPDATE num = num`, args...)
		return err
	})
}

// AuditByCode implements access.AuditStore.
func (s *Store) AuditByCode(ctx context.Context, space, code string) (r access.Record, ok bool, err error) {
	records, err := s.audit(ctx, `SELECT `+row.AuditColumns+` FROM audit WHERE space = ? AND code = ? ORDER BY num LIMIT 1`, space, code)
	if err != nil || len(records) == 0 {
		return r, false, err
	}
	return records[0], true, nil
}

// AuditLog implements access.AuditStore.
func (s *Store) AuditLog(ctx context.Context, space string, max int) ([]access.Record, error) {
	return s.audit(ctx, `SELECT `+row.AuditColumns+` FROM audit FORCE INDEX (audit_in) WHERE space = ?
		ORDER BY at DESC, num DESC LIMIT ?`, space, int64(max))
}

func (s *Store) audit(ctx context.Context, text string, args ...any) ([]access.Record, error) {
	from, err := s.query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	records, err := row.Audit(from)
	return records, s.explain(err)
}
