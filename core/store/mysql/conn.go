package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math"

	"github.com/letserverrun/skadi/core/store/row"
)

// conn is a writer's connection. It uses the driver without the pool of
// database/sql before it, so that what is done on it is done on it alone and
// nothing is repeated behind the writer's back. It is for one goroutine.
type conn struct {
	// ctx never ends: a write must not be cut short by a caller who has gone.
	// The driver's time-outs end it if the server does not answer.
	ctx    context.Context
	driver driver.Conn
	execer driver.ExecerContext
	asker  driver.QueryerContext
	args   []driver.NamedValue
}

func connect(ctx context.Context, from driver.Connector) (*conn, error) {
	d, err := from.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{ctx: context.WithoutCancel(ctx), driver: d}
	var ok, asks bool
	c.execer, ok = d.(driver.ExecerContext)
	if c.asker, asks = d.(driver.QueryerContext); !ok || !asks {
		return nil, errors.Join(errors.New("the driver's connections run no statements"), d.Close())
	}
	return c, nil
}

// close ends the connection, and with it whatever was not committed.
func (c *conn) close() { _ = c.driver.Close() } // what was committed is with the server

// bound returns the arguments as the driver wants them, until the next call.
func (c *conn) bound(args []any) []driver.NamedValue {
	for len(c.args) < len(args) {
		c.args = append(c.args, driver.NamedValue{Ordinal: len(c.args) + 1})
	}
	bound := c.args[:len(args)]
	for i, a := range args {
		bound[i].Value = a
	}
	return bound
}

// exec runs a statement. It returns how many rows it found, and the number
// that LAST_INSERT_ID has after it.
func (c *conn) exec(text string, args ...any) (found, id int64, err error) {
	res, err := c.execer.ExecContext(c.ctx, text, c.bound(args))
	clear(c.args) // not to keep long texts
	for i := range c.args {
		c.args[i].Ordinal = i + 1
	}
	if err != nil {
		return 0, 0, err
	}
	if found, err = res.RowsAffected(); err != nil {
		return 0, 0, err
	}
	id, err = res.LastInsertId()
	return found, id, err
}

// query runs a statement that answers with rows.
func (c *conn) query(text string, args ...any) (row.Cursor, error) {
	r, err := c.asker.QueryContext(c.ctx, text, c.bound(args))
	if err != nil {
		return nil, err
	}
	return row.FromDriver(r, assign), nil
}

// assign puts a value into a place of one of the types that this package scans
// to.
func assign(dest any, value driver.Value) (ok bool) {
	switch d := dest.(type) {
	case *string:
		var text []byte
		text, ok = value.([]byte)
		*d = string(text)
	case *int64:
		switch v := value.(type) {
		case int64:
			*d, ok = v, true
		case uint64: // some of the server's own variables
			*d, ok = int64(v), v <= math.MaxInt64 //nolint:gosec // ok says whether it fits
		}
	case *[]byte:
		var bytes []byte
		bytes, ok = value.([]byte)
		*d = append([]byte(nil), bytes...) // the driver writes over its own
	case *sql.NullInt64:
		d.Int64, d.Valid = value.(int64)
		ok = d.Valid || value == nil
	}
	return ok
}
