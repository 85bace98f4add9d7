package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// checkpointEvery is after how many commits pages are copied from the
	// write-ahead log to the database.
	checkpointEvery = 256
	// longLog is from how many pages on the log is started anew. 8,000 pages
	// are 32 MB.
	longLog = 8000
)

// checkpointer copies pages from the write-ahead log into the database while
// the writer goes on. What it cannot do is to catch up with a writer that
// never rests, which is what it takes to start the log anew: once the log is
// long, the writer itself copies the little that is left, between two commits
// and after it has answered everybody.
type checkpointer struct {
	store   *Store
	db      *sql.DB
	commits int         // since the last signal; the writer's
	long    atomic.Bool // the writer should start the log anew
	work    chan struct{}
	stop    context.CancelFunc
	all     sync.WaitGroup
	closed  sync.Once
}

var checkpointQuery = newQuery(`PRAGMA wal_checkpoint(PASSIVE)`)

func startCheckpointer(ctx context.Context, s *Store, busy time.Duration) (*checkpointer, error) {
	db, err := sql.Open("sqlite", dsn(s.path, busy, "wal_autocheckpoint(0)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &checkpointer{store: s, db: db, work: make(chan struct{}, 1), stop: stop}
	c.all.Go(func() { c.run(running) })
	return c, nil
}

func (c *checkpointer) close() (err error) {
	c.closed.Do(func() {
		c.stop()
		c.all.Wait()
		err = c.db.Close()
	})
	return err
}

func (c *checkpointer) run(ctx context.Context) {
	for {
		select {
		case <-c.work:
		case <-ctx.Done():
			return
		}
		var busy, pages, copied int64
		err := c.db.QueryRowContext(context.WithoutCancel(ctx), checkpointQuery.text).Scan(&busy, &pages, &copied)
		if err != nil {
			// The log grows until it works again; nothing is lost.
			c.store.log.Warn("could not copy the write-ahead log into the database", "path", c.store.path, "err", err)
			continue
		}
		if pages >= longLog {
			c.long.Store(true)
		}
	}
}

// committed is called by the writer after each commit.
func (c *checkpointer) committed(w *writer) {
	if c.long.CompareAndSwap(true, false) {
		var busy, pages, copied int64
		_, _ = w.conn.row(checkpointQuery, nil, &busy, &pages, &copied) // if not now, then the next time
	}
	if c.commits++; c.commits < checkpointEvery {
		return
	}
	c.commits = 0
	select {
	case c.work <- struct{}{}:
	default: // it is at it
	}
}
