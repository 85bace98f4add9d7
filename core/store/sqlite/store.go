package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/row"
)

// Config says which database to open and how.
type Config struct {
	// Path is the database's file. It is made if it is not there; its folder
	// must be.
	Path string
	// Clock is what deadlines go by; nil: time.Now.
	Clock chat.Clock
	// Logger is for what nobody is there to be told; nil: nothing is logged.
	Logger *slog.Logger
	// Partitions is how many partitions conversations are spread over. It is
	// kept in the database, and another number is refused from then on; 0: as
	// it is kept, or events.DefaultPartitions.
	Partitions int
	// BusyTimeout is how long a write waits for another process that writes
	// to the same file; 0: 10 seconds.
	BusyTimeout time.Duration
}

// Store is a store in one SQLite file. Several processes may have the file
// open at a time. Its methods may be called concurrently.
type Store struct {
	path   string
	clock  chat.Clock
	log    *slog.Logger
	write  *writer
	read   *readers
	recent recent
	alone  alone
	// partitions is how many partitions conversations are spread over.
	partitions int
}

var _ store.Store = (*Store)(nil)

// Open opens the database, makes it if it is not there, and brings its
// schema up to date. Its errors name the file and say what to do. Close the
// store when done.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.BusyTimeout <= 0 {
		c.BusyTimeout = 10 * time.Second
	}
	path, err := prepareFile(c.Path)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s := &Store{path: path, clock: c.Clock, log: c.Logger, alone: alone{path: path + ".lock"}}
	if err := s.open(ctx, c); err != nil {
		return nil, fmt.Errorf("open the database: %w", explainOpen(path, err))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, c Config) error {
	busy := c.BusyTimeout
	useFdatasync()
	if err := migrate(ctx, s.path, busy, s.log); err != nil {
		return err
	}
	read, err := openReaders(ctx, s.path, busy)
	if err != nil {
		return err
	}
	write, err := startWriter(ctx, s, busy)
	if err != nil {
		return errors.Join(err, read.close())
	}
	s.read, s.write = read, write
	if err := s.settle(ctx, c.Partitions); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// Close waits for the writes that were begun, and closes the database. Later
// calls of any method answer job.ErrUnavailable. Closing twice is no error.
func (s *Store) Close() error {
	return errors.Join(s.write.close(), s.read.close(), s.alone.close())
}

// Ping reports whether the database can be read and the writer is there.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.write.Alive(); err != nil {
		return err
	}
	var one int64
	_, err := s.read.row(ctx, pingQuery, nil, &one)
	return err
}

var pingQuery = newQuery(`SELECT count(*) FROM sequences`)

// Now returns the process's clock, in the microseconds that the database
// keeps.
func (s *Store) Now(context.Context) (time.Time, error) { return s.now(), nil }

func (s *Store) now() time.Time { return row.Time(row.Micros(s.clock())) }

// Stats counts what the writer did since the store was opened.
type Stats struct {
	// Commits counts transactions, and Members the writes that they held.
	Commits, Members int64
	// Largest is the most writes that one transaction held.
	Largest int
	// Replays counts transactions that were rolled back because of one
	// member and whose members were then committed one by one.
	Replays int64
	// Waiting is how many writes wait at the moment.
	Waiting int
}

// Stats returns what the writer did so far.
func (s *Store) Stats() Stats { return s.write.stats() }

// query is a statement with a place in the tables of prepared ones.
type query struct {
	id   int
	text string
}

var queries []*query

// newQuery is for package-level variables only.
func newQuery(text string) *query {
	q := &query{id: len(queries), text: text}
	queries = append(queries, q)
	return q
}
