package storecopy

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/letserverrun/skadi/core/store/mysql"
	"github.com/letserverrun/skadi/core/store/row"
)

// kept are the tables in which each database has rows from its beginning, and
// which of them are replaced by those of the source.
var kept = map[string]string{
	"sequences": ` WHERE name = 'job'`,
	"settings":  ` WHERE name = 'partitions'`,
}

// table copies the rows of a table in batches.
func (x *copying) table(ctx context.Context, t table) (p Progress, err error) {
	p.Table = t.name
	where := kept[t.name]
	if p.Total, err = count(ctx, x.snapshot, x.from.dialect, t.name, where); err != nil {
		return p, err
	}
	x.Progress(p)
	if where != "" {
		if _, err := x.to.db.ExecContext(ctx, `DELETE FROM `+x.to.dialect.name(t.name)+where); err != nil { //nolint:gosec // names of the schema
			return p, err
		}
	}
	b := x.batch(t)
	rows, err := x.snapshot.QueryContext(ctx, `SELECT `+x.from.dialect.names(b.names)+` FROM `+x.from.dialect.name(t.name)+where) //nolint:gosec // names of the schema
	if err != nil {
		return p, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := b.read(rows); err != nil {
			return p, err
		}
		if b.rows < x.batchRows && b.bytes < batchBytes {
			continue
		}
		p.Rows += int64(b.rows)
		if err := x.flush(ctx, b); err != nil {
			return p, err
		}
		x.Progress(p)
	}
	if err := rows.Err(); err != nil {
		return p, err
	}
	p.Rows += int64(b.rows)
	if err := x.flush(ctx, b); err != nil {
		return p, err
	}
	x.Progress(p)
	return p, nil
}

// batch is rows on their way into a table.
type batch struct {
	names   []string
	columns []column // as the target has them, in the order of names
	fit     func(c column, s string) string
	insert  string // up to VALUES
	dest    []any
	values  []any
	rows    int
	bytes   int
}

func (x *copying) batch(t table) *batch {
	b := &batch{fit: x.to.dialect.fit}
	for _, c := range t.columns {
		there, _ := x.target[t.name].column(c.name) // match has seen it
		b.names = append(b.names, c.name)
		b.columns = append(b.columns, there)
		b.dest = append(b.dest, new(any))
	}
	b.insert = `INSERT INTO ` + x.to.dialect.name(t.name) + ` (` + x.to.dialect.names(b.names) + `) VALUES `
	return b
}

// read adds the row at which rows stands.
func (b *batch) read(rows *sql.Rows) error {
	if err := rows.Scan(b.dest...); err != nil {
		return err
	}
	for i, c := range b.columns {
		v, err := b.convert(c, *b.dest[i].(*any)) //nolint:forcetypeassert // batch made it
		if err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
		b.values = append(b.values, v)
	}
	b.rows++
	return nil
}

// convert gives a value the type that the target's column has.
func (b *batch) convert(c column, v any) (any, error) {
	var s string
	switch v := v.(type) {
	case nil:
		return nil, nil
	case int64:
		b.bytes += 8
		if c.kind == integer {
			return v, nil
		}
		return nil, fmt.Errorf("a number is where %s should be", c.dataType)
	case string:
		s = v
	case []byte:
		s = string(v)
	default:
		return nil, fmt.Errorf("a %T is no value that a copy knows", v)
	}
	b.bytes += len(s)
	switch c.kind {
	case integer:
		return strconv.ParseInt(s, 10, 64)
	case bytes:
		return []byte(b.fit(c, s)), nil
	default:
		return b.fit(c, s), nil
	}
}

// flush writes the rows of a batch in one transaction, and empties it.
func (x *copying) flush(ctx context.Context, b *batch) error {
	if b.rows == 0 {
		return nil
	}
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(b.columns)), ", ") + ")"
	text := b.insert + strings.TrimSuffix(strings.Repeat(one+", ", b.rows), ", ") //nolint:gosec // question marks
	err := x.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, text, b.values...)
		return err
	})
	clear(b.values)
	b.values, b.rows, b.bytes = b.values[:0], 0, 0
	return err
}

// pasts gives the events that MySQL keeps with their jobs rows of their own, and
// returns how many there are.
func (x *copying) pasts(ctx context.Context, p *Progress) (n int64, err error) {
	b := &batch{insert: `INSERT INTO events (` + row.PlainEventColumns + `) VALUES `, columns: make([]column, row.PlainEventWidth)}
	flush := func() error {
		n += int64(b.rows)
		p.Rows, p.Total = p.Rows+int64(b.rows), p.Total+int64(b.rows)
		if err := x.flush(ctx, b); err != nil {
			return err
		}
		x.Progress(*p)
		return nil
	}
	err = mysql.Pasts(ctx, x.snapshot, func(values []any) error {
		b.values = append(b.values, values...)
		if b.rows++; b.rows < x.batchRows {
			return nil
		}
		return flush()
	})
	if err != nil {
		return n, err
	}
	return n, flush()
}

// adapt brings about what one kind of database keeps beside the rows. SQLite
// numbers events by a sequence, MySQL by the columns themselves.
func (x *copying) adapt(ctx context.Context) error {
	if x.to.alone == nil {
		return nil
	}
	return x.write(ctx, func(tx *sql.Tx) error {
		for _, text := range []string{
			`UPDATE sequences SET value = max(value,
				(SELECT coalesce(max(seq), 0) FROM untold), (SELECT coalesce(max(seq), 0) FROM unpublished)) WHERE name = 'outbox'`,
			`UPDATE conversations SET first = coalesce((SELECT min(seq) FROM untold u
				WHERE u.account = conversations.account AND u.key = conversations.key), 0)`,
		} {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
}
