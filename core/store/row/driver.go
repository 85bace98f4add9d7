package row

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// FromDriver reads what a driver returned without the pool of database/sql
// before it. The function assign puts a value into dest, a pointer, and reports
// whether it goes there; it copies what the driver writes over at the next row.
func FromDriver(rows driver.Rows, assign func(dest any, value driver.Value) (ok bool)) Cursor {
	return &driverRows{rows: rows, values: make([]driver.Value, len(rows.Columns())), assign: assign}
}

type driverRows struct {
	rows   driver.Rows
	values []driver.Value
	assign func(dest any, value driver.Value) (ok bool)
	err    error // io.EOF: there is no more
}

// Next implements Cursor.
func (r *driverRows) Next() bool {
	if r.err == nil {
		r.err = r.rows.Next(r.values)
	}
	return r.err == nil
}

// Err implements Cursor.
func (r *driverRows) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

// Close implements Cursor.
func (r *driverRows) Close() error { return r.rows.Close() }

// Scan implements Cursor.
func (r *driverRows) Scan(dest ...any) error {
	if len(dest) != len(r.values) {
		return fmt.Errorf("scan %d columns into %d places", len(r.values), len(dest))
	}
	for i, d := range dest {
		if !r.assign(d, r.values[i]) {
			return fmt.Errorf("column %d: a %T does not go into a %T", i, r.values[i], d)
		}
	}
	return nil
}
