package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/letserverrun/skadi/core/store/group"
	"github.com/letserverrun/skadi/core/store/row"
)

const (
	// poolSize is how many reads run at a time; others wait for their turn.
	poolSize = 16
	// poolIdle and poolLife end connections, so that none outlives what lies
	// between Skadi and the server, such as a balancer, or leads for ever to a
	// server that is not the primary any more.
	poolIdle = 50 * time.Second
	poolLife = 10 * time.Minute
	// readTries is how often a read is tried when the connection is lost.
	readTries = 3
)

// readers makes the connections of the pool. A read must see what was written,
// so none leads to a server that takes no writes, which may be behind: a replica,
// or a new primary that is not done with what the one before it acknowledged.
// For the same reason one that is older than a writer's is not used any more:
// the writer may have been led to another server, and a server that is not the
// primary any more goes on answering.
type readers struct {
	*session
	renewed atomic.Int64 // how often a writer connected
}

func (r *readers) renew() { r.renewed.Add(1) }

// Connect implements driver.Connector.
func (r *readers) Connect(ctx context.Context) (driver.Conn, error) {
	made := r.renewed.Load()
	c, err := r.session.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := c.(wholeConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver's connections do not say whether they can be used again"), c.Close())
	}
	if err := refuseReplica(ctx, whole); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &reader{wholeConn: whole, from: r, made: made}, nil
}

func refuseReplica(ctx context.Context, c wholeConn) error {
	asker := &conn{ctx: ctx, driver: c, execer: c, asker: c}
	from, err := asker.query(`SELECT @@read_only NOT IN ('0', 'OFF')`) // newer MariaDBs have words for it
	var readOnly int64
	if err == nil {
		_, err = row.One(from, &readOnly)
	}
	switch {
	case number(err) != 0 && !isLost(err):
		return nil // a server, or a proxy, that does not know the word
	case err == nil && readOnly != 0:
		return errReplica
	}
	return err
}

// wholeConn is all that database/sql asks of the driver's connections.
type wholeConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

type reader struct {
	wholeConn
	from *readers
	made int64
}

// IsValid implements driver.Validator.
func (r *reader) IsValid() bool { return r.made == r.from.renewed.Load() && r.wholeConn.IsValid() }

// ResetSession implements driver.SessionResetter.
func (r *reader) ResetSession(ctx context.Context) error {
	if r.made != r.from.renewed.Load() {
		return driver.ErrBadConn
	}
	return r.wholeConn.ResetSession(ctx)
}

func openPool(from driver.Connector) *sql.DB {
	db := sql.OpenDB(from)
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(poolSize)
	db.SetConnMaxIdleTime(poolIdle)
	db.SetConnMaxLifetime(poolLife)
	return db
}

// query runs a read, which ends with ctx.
func (s *Store) query(ctx context.Context, text string, args ...any) (row.Cursor, error) {
	for try := 1; ; try++ {
		if s.isClosed() {
			return nil, group.ErrClosed
		}
		from, err := s.db.QueryContext(ctx, text, args...) //nolint:rowserrcheck // whoever reads them does
		if err == nil {
			return from, nil
		}
		if number(err) == erNotReady {
			// A server that left its cluster keeps its connections; others may
			// lead to one that did not.
			s.reads.renew()
		}
		if try == readTries || ctx.Err() != nil || !isLost(err) {
			return nil, s.explain(err)
		}
	}
}

// row reads one row, and reports whether there is one.
func (s *Store) row(ctx context.Context, text string, args []any, dest ...any) (found bool, err error) {
	for try := 1; ; try++ {
		from, err := s.query(ctx, text, args...)
		if err != nil {
			return false, err
		}
		found, err := row.One(from, dest...)
		if err == nil || try == readTries || ctx.Err() != nil || !isLost(err) {
			return found, s.explain(err)
		}
	}
}

// explain is explain, and says that the store is closed if that is why.
func (s *Store) explain(err error) error {
	if err != nil && s.isClosed() {
		return group.ErrClosed
	}
	return explain(err)
}

// in returns a list of n placeholders in brackets, for IN and VALUES.
func in(n int) string {
	if n == 0 {
		return "(NULL)" // which nothing is in
	}
	return "(?" + strings.Repeat(",?", n-1) + ")"
}

// rowsOf returns n lists of width placeholders each, with commas between.
func rowsOf(n, width int) string {
	one := in(width)
	return one + strings.Repeat(","+one, n-1)
}

// anys makes arguments of a list.
func anys[T any](list []T) []any {
	args := make([]any, len(list))
	for i, v := range list {
		args[i] = v
	}
	return args
}
