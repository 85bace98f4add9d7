package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/row"
)

// Store is a store in a database that many nodes share. Its methods may be
// called concurrently.
type Store struct {
	clock chat.Clock // nil: the database's
	log   *slog.Logger
	db    *sql.DB // for reads, on connections of readers
	reads *readers
	queue *queue // for writes
	// numbers are those of jobs.
	numbers numbers
	// partitions is how many partitions conversations are spread over.
	partitions int
	// outbox is what is known of the table outbox.
	outbox outbox
	// known are live jobs as they were written here.
	known knownJobs
	// scattered says that numbers of rows may go against the order in which
	// they are written.
	scattered bool
	// optimistic says that other servers take writes too, that locks hold on one
	// of them, and that only rows which two transactions change are a conflict.
	optimistic bool
	// forUpdate ends a SELECT that leaves alone what another transaction has
	// locked.
	forUpdate string
	closed    atomic.Bool
}

var _ store.Store = (*Store)(nil)

// Open opens the database. Its errors name what is wrong in the config and say
// what to do. Close the store when done.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	reads, err := newSession(c, false)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	writes, err := newSession(c, true)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s := &Store{clock: c.Clock, log: c.Logger, reads: &readers{session: reads}}
	s.db = openPool(s.reads)
	if err := s.open(ctx, c, writes); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", explainOpen(reads.config, err)), s.db.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, c Config, writes *session) error {
	if err := s.checkServer(ctx); err != nil {
		return err
	}
	if err := s.checkCluster(ctx, s.reads.session, writes); err != nil {
		return err
	}
	if c.Migrate {
		if err := Migrate(ctx, c.DSN, c.Logger); err != nil {
			return err
		}
	}
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	queue, err := startWriters(ctx, s, writes)
	if err != nil {
		return err
	}
	s.queue = queue
	if err := s.settle(ctx, c.Partitions); err != nil {
		queue.close()
		return err
	}
	return nil
}

// Close waits for the writes that were begun, and closes the connections.
// Later calls of any method answer job.ErrUnavailable. Closing twice is no
// error.
func (s *Store) Close() error {
	s.queue.close()
	s.closed.Store(true)
	return s.db.Close()
}

func (s *Store) isClosed() bool { return s.closed.Load() }

// Ping reports whether the database can be read and written now.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, 1, func(*tx) error { return nil })
}

// micros is the database's clock in microseconds since 1970, whatever the time
// zone of the session.
const micros = `TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))`

// Now returns the database's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if s.clock != nil {
		return row.Time(row.Micros(s.clock())), nil
	}
	var us int64
	if _, err := s.row(ctx, `SELECT `+micros, nil, &us); err != nil {
		return time.Time{}, err
	}
	return row.Time(us), nil
}

// Partitions returns how many partitions conversations are spread over.
func (s *Store) Partitions() int { return s.partitions }

// Stats counts what the writers did since the store was opened.
type Stats struct {
	// Commits counts transactions, and Members the writes that they held.
	Commits, Members int64
	// Largest is the most writes that one transaction held.
	Largest int
	// Replays counts transactions that were rolled back because of one
	// member and whose members were then committed one by one.
	Replays int64
	// Conflicts counts transactions that met another one and were tried again.
	Conflicts int64
	// Lost counts lost connections, and Unsure those lost at a COMMIT of which
	// it had to be found out whether it came to be.
	Lost, Unsure int64
	// Waiting is how many writes wait at the moment.
	Waiting int
}

// Stats returns what the writers did so far.
func (s *Store) Stats() Stats { return s.queue.stats() }
