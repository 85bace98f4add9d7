package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"modernc.org/sqlite"

	"github.com/letserverrun/skadi/core/store/row"
)

// conn is the writer's connection. It uses the driver without the pool of
// database/sql before it, which costs a twentieth of the time of a small
// statement and most of its garbage. It is for one goroutine.
type conn struct {
	// ctx never ends: a write must not be cut short by a caller who has gone.
	ctx    context.Context
	driver driver.Conn
	stmts  []stmt // by query.id, prepared at first use
	args   []driver.NamedValue
}

type stmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func connect(ctx context.Context, dsn string) (*conn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{ctx: context.WithoutCancel(ctx), driver: c, stmts: make([]stmt, len(queries))}, nil
}

func (c *conn) close() error {
	for _, st := range c.stmts {
		if st != nil {
			_ = st.Close() // of no effect beyond the connection
		}
	}
	return c.driver.Close()
}

func (c *conn) stmt(q *query) (stmt, error) {
	if st := c.stmts[q.id]; st != nil {
		return st, nil
	}
	prepared, err := c.driver.Prepare(q.text)
	if err != nil {
		return nil, err
	}
	st, ok := prepared.(stmt)
	if !ok {
		return nil, errors.Join(errors.New("the driver's statements take no context"), prepared.Close())
	}
	c.stmts[q.id] = st
	return st, nil
}

// bound returns the arguments as the driver wants them, until the next call.
// They must be int64, string, []byte or nil.
func (c *conn) bound(args []any) []driver.NamedValue {
	if cap(c.args) < len(args) {
		c.args = make([]driver.NamedValue, 2*len(args))
		for i := range c.args {
			c.args[i].Ordinal = i + 1
		}
	}
	bound := c.args[:len(args)]
	for i, a := range args {
		bound[i].Value = a
	}
	return bound
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(q *query, args ...any) (affected int64, err error) {
	st, err := c.stmt(q)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(c.ctx, c.bound(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c *conn) query(q *query, args ...any) (row.Cursor, error) {
	st, err := c.stmt(q)
	if err != nil {
		return nil, err
	}
	r, err := st.QueryContext(c.ctx, c.bound(args))
	if err != nil {
		return nil, err
	}
	return row.FromDriver(r, assign), nil
}

// row reads one row and reports whether there is one.
func (c *conn) row(q *query, args []any, dest ...any) (found bool, err error) {
	r, err := c.query(q, args...)
	if err != nil {
		return false, err
	}
	return row.One(r, dest...)
}

// assign puts a value into a place of one of the types that this package scans
// to.
func assign(dest any, value driver.Value) (ok bool) {
	switch d := dest.(type) {
	case *string:
		*d, ok = value.(string)
	case *int64:
		*d, ok = value.(int64)
	case *[]byte:
		*d, ok = value.([]byte)
	case *sql.NullInt64:
		d.Int64, d.Valid = value.(int64)
		ok = d.Valid || value == nil
	}
	return ok
}
