package storecopy

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/store"
)

// Config says what to copy where. Names are for errors. Both schemas must be
// as this program knows them.
type Config struct {
	From, To         store.Store
	FromName, ToName string
	// Running lets a server work on the source. What it does after the
	// beginning is not copied.
	Running bool
	// Progress is called now and then; nil: never.
	Progress func(Progress)

	// Tests make batches small.
	batchRows int
}

// Progress is how far the copy of a table is.
type Progress struct {
	Table       string
	Rows, Total int64
}

// Result is what was copied: rows by table.
type Result struct {
	Tables []Progress
}

// Rows returns how many rows were copied in all.
func (r Result) Rows() (n int64) {
	for _, t := range r.Tables {
		n += t.Rows
	}
	return n
}

const (
	// batchRows and batchBytes bound a statement, and with it a transaction.
	batchRows  = 500
	batchBytes = 1 << 20
	// leaseName is the lease under which one program at a time copies into a
	// database, for leaseTTL after each batch.
	leaseName = "store copy"
	leaseTTL  = time.Minute
)

var (
	// ErrNotEmpty is returned when the target has something of its own.
	ErrNotEmpty = errors.New("the target is not empty")
	// errTaken: another program copies into the target.
	errTaken = errors.New("another program copies into the target at this moment")
)

// Copy copies everything and compares the numbers of rows. On an error the
// target keeps its mark (see the package) if anything was written to it.
func Copy(ctx context.Context, c Config) (r Result, err error) {
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	if c.batchRows <= 0 {
		c.batchRows = batchRows
	}
	from, err := sideOf(c.FromName, c.From)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	to, err := sideOf(c.ToName, c.To)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, to.close()) }()

	if !c.Running {
		if err := from.idle(ctx); err != nil {
			return r, err
		}
	}
	if err := to.idle(ctx); err != nil {
		return r, err
	}
	x := &copying{Config: c, from: from, to: to, lease: to.Leaser("copy-" + uuid.NewString())}
	if err := x.renew(ctx); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, x.lease.Release(context.WithoutCancel(ctx), leaseName)) }()
	return x.run(ctx)
}

// copying is one copy on its way.
type copying struct {
	Config
	from, to *side
	lease    chat.Leaser
	renewed  time.Time

	// snapshot is the source as it was at the beginning.
	snapshot *sql.Conn
	tables   []table
	target   map[string]table
	// past is how many events came from mysql.PastColumn.
	past int64
}

// renew keeps other copies off the target.
func (x *copying) renew(ctx context.Context) error {
	if time.Since(x.renewed) < leaseTTL/3 {
		return nil
	}
	_, held, err := x.lease.Acquire(ctx, leaseName, leaseTTL)
	switch {
	case err != nil:
		return err
	case !held:
		return errTaken
	}
	x.renewed = time.Now()
	return nil
}

func (x *copying) run(ctx context.Context) (r Result, err error) {
	if err := x.match(ctx); err != nil {
		return r, err
	}
	if err := x.begin(ctx); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, x.end(ctx)) }()
	if err := x.prepare(ctx); err != nil {
		return r, err
	}
	for _, t := range x.tables {
		done, err := x.table(ctx, t)
		if err == nil && t.name == "events" && x.from.pasts {
			x.past, err = x.pasts(ctx, &done)
		}
		if err != nil {
			return r, fmt.Errorf("copy the table %s: %w", t.name, err)
		}
		r.Tables = append(r.Tables, done)
	}
	if err := x.finish(ctx); err != nil {
		return r, err
	}
	return r, nil
}

// match finds out what there is to copy.
func (x *copying) match(ctx context.Context) error {
	source, err := x.from.dialect.tables(ctx, x.from.db)
	if err != nil {
		return err
	}
	if x.target, err = x.to.dialect.tables(ctx, x.to.db); err != nil {
		return err
	}
	x.tables, err = match(source, x.target)
	return err
}

// begin takes the snapshot.
func (x *copying) begin(ctx context.Context) (err error) {
	if x.from.unbundle != nil {
		if err := x.from.unbundle(ctx); err != nil {
			return fmt.Errorf("prepare %s: %w", x.from.name, err)
		}
	}
	if x.snapshot, err = x.from.db.Conn(ctx); err != nil {
		return err
	}
	for _, text := range x.from.dialect.snapshot {
		if _, err := x.snapshot.ExecContext(ctx, text); err != nil {
			return errors.Join(fmt.Errorf("read %s in a snapshot: %w", x.from.name, err), x.end(ctx))
		}
	}
	return nil
}

// end gives the snapshot's connection back as it was.
func (x *copying) end(ctx context.Context) error {
	if _, err := x.snapshot.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`); err != nil {
		_ = x.snapshot.Raw(func(any) error { return driver.ErrBadConn }) // it ends with the connection
	}
	return x.snapshot.Close()
}

// prepare makes sure that the target has nothing of its own, and marks it.
func (x *copying) prepare(ctx context.Context) error {
	begun, err := mark(ctx, x.to.db)
	if err != nil {
		return err
	}
	for _, t := range x.tables {
		if _, special := kept[t.name]; special {
			continue
		}
		if begun != "" {
			if _, err := x.to.db.ExecContext(ctx, x.to.dialect.empty+x.to.dialect.name(t.name)); err != nil {
				return fmt.Errorf("begin the copy anew: empty the table %s: %w", t.name, err)
			}
			continue
		}
		n, err := count(ctx, x.to.db, x.to.dialect, t.name, "")
		if err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("%w: %s has %d rows in table %s; name a new database, or drop this one if nobody needs it", ErrNotEmpty, x.to.name, n, t.name)
		}
	}
	return x.mark(ctx, fmt.Sprintf("begun at %s", time.Now().UTC().Format(time.RFC3339)))
}

// mark replaces the mark of the target; an empty one takes it away.
func (x *copying) mark(ctx context.Context, text string) error {
	return x.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM settings WHERE name = 'copying'`); err != nil || text == "" {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO settings (name, value) VALUES ('copying', ?)`, text)
		return err
	})
}

// write runs a transaction on the target, as long as no other program copies
// into it.
func (x *copying) write(ctx context.Context, do func(tx *sql.Tx) error) error {
	if err := x.renew(ctx); err != nil {
		return err
	}
	tx, err := x.to.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func count(ctx context.Context, q querier, d dialect, name, where string) (n int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM `+d.name(name)+where).Scan(&n)
	return n, err
}

// finish compares what is there with what there was, and takes the mark away.
func (x *copying) finish(ctx context.Context) error {
	if err := x.adapt(ctx); err != nil {
		return err
	}
	var wrong []string
	for _, t := range x.tables {
		before, err := count(ctx, x.snapshot, x.from.dialect, t.name, kept[t.name])
		if err != nil {
			return err
		}
		after, err := count(ctx, x.to.db, x.to.dialect, t.name, kept[t.name])
		if err != nil {
			return err
		}
		if t.name == "events" {
			before += x.past
		}
		if before != after {
			wrong = append(wrong, fmt.Sprintf("%s has %d rows and should have %d", t.name, after, before))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("the copy is not what was copied: %s; somebody wrote to %s meanwhile", strings.Join(wrong, ", "), x.to.name)
	}
	if !x.Running {
		if err := x.from.idle(ctx); err != nil {
			return fmt.Errorf("what happened during the copy is not in it: %w", err)
		}
	}
	return x.mark(ctx, "")
}
