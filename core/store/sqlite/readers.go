package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/store/group"
	"github.com/letserverrun/skadi/core/store/row"
)

// readerCount is how many reads run at a time; others wait for their turn.
const readerCount = 8

// readers are the connections that only read. In WAL mode they see the last
// commit and neither wait for the writer nor hold it up.
type readers struct {
	db    *sql.DB
	mu    sync.RWMutex
	stmts []*sql.Stmt // by query.id, prepared at first use
	done  bool
}

func openReaders(ctx context.Context, path string, busy time.Duration) (*readers, error) {
	db, err := sql.Open("sqlite", dsn(path, busy, "query_only(1)", "cache_size(-8000)", "mmap_size(0)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readerCount)
	db.SetMaxIdleConns(readerCount)
	r := &readers{db: db, stmts: make([]*sql.Stmt, len(queries))}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return r, nil
}

func (r *readers) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = true
	return r.db.Close()
}

func (r *readers) stmt(ctx context.Context, q *query) (*sql.Stmt, error) {
	r.mu.RLock()
	st, done := r.stmts[q.id], r.done
	r.mu.RUnlock()
	if done {
		return nil, group.ErrClosed
	}
	if st != nil {
		return st, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done {
		return nil, group.ErrClosed
	}
	if r.stmts[q.id] == nil {
		st, err := r.db.PrepareContext(ctx, q.text) //nolint:sqlclosecheck // kept; closed with the database
		if err != nil {
			return nil, err
		}
		r.stmts[q.id] = st
	}
	return r.stmts[q.id], nil
}

// query runs a read that may take a while, which ends with ctx.
func (r *readers) query(ctx context.Context, q *query, args ...any) (row.Cursor, error) {
	st, err := r.stmt(ctx, q) //nolint:sqlclosecheck // kept; closed with the database
	if err != nil {
		return nil, r.explain(err)
	}
	from, err := st.QueryContext(ctx, args...) //nolint:rowserrcheck // whoever reads them does
	if err != nil {
		return nil, r.explain(err)
	}
	return from, nil
}

// row reads one row, and reports whether there is one. It is over so soon
// that it does not watch ctx.
func (r *readers) row(ctx context.Context, q *query, args []any, dest ...any) (found bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	from, err := r.query(context.WithoutCancel(ctx), q, args...)
	if err != nil {
		return false, err
	}
	found, err = row.One(from, dest...)
	return found, r.explain(err)
}

func (r *readers) explain(err error) error {
	if err == nil {
		return nil
	}
	r.mu.RLock()
	done := r.done
	r.mu.RUnlock()
	if done {
		return group.ErrClosed
	}
	return explain(err)
}
