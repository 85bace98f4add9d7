package row

import "github.com/letserverrun/skadi/core/access"

// TokenColumns are the columns of tokens in the order of TokenArgs.
const TokenColumns = `hash, space, name, role, agent_id, agent, created_at, revoked_at` //nolint:gosec // no credential

// TokenArgs returns the values of TokenColumns.
func TokenArgs(t *access.Token) []any {
	return []any{t.Hash, t.Space, t.Name, string(t.Role), t.AgentID, t.Agent, Micros(t.CreatedAt), Micros(t.RevokedAt)}
}

// Tokens reads and closes rows of TokenColumns.
func Tokens(from Cursor) (tokens []access.Token, err error) {
	var t access.Token
	var role string
	var created, revoked int64
	dest := []any{&t.Hash, &t.Space, &t.Name, &role, &t.AgentID, &t.Agent, &created, &revoked}
	err = Each(from, dest, func() {
		t.Role, t.CreatedAt, t.RevokedAt = access.Role(role), Time(created), Time(revoked)
		tokens = append(tokens, t)
		t.Hash = nil // the next row gets bytes of its own
	})
	return tokens, err
}

// AuditColumns are the columns of audit in the order of AuditArgs.
const AuditColumns = `id, space, code, at, who, name, place, action, target, text, allowed, why`

// AuditArgs returns the values of AuditColumns.
func AuditArgs(r *access.Record) []any {
	var allowed int64
	if r.Allowed {
		allowed = 1
	}
	return []any{r.ID, r.Space, r.Code, Micros(r.At), r.Who, r.Name, r.Where, r.Action, r.Target, r.Text, allowed, r.Why}
}

// Audit reads and closes rows of AuditColumns.
func Audit(from Cursor) (records []access.Record, err error) {
	var r access.Record
	var at, allowed int64
	dest := []any{
		&r.ID, &r.Space, &r.Code, &at, &r.Who, &r.Name, &r.Where, &r.Action, &r.Target, &r.Text, &allowed, &r.Why,
	}
	err = Each(from, dest, func() {
		r.At, r.Allowed = Time(at), allowed != 0
		records = append(records, r)
	})
	return records, err
}
