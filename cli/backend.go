package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
	nodes "github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/mysql"
	"github.com/letserverrun/skadi/core/store/sqlite"
	"github.com/letserverrun/skadi/core/store/storecopy"
	"github.com/letserverrun/skadi/core/telemetry"
)

// place is where a database is, as a config or the command line names it.
type place struct {
	config.Store
	// partitions is what the config says; 0: as the database has it.
	partitions int
	// file is the config that names it; empty if none does.
	file string
	// unnamed says that neither the command line nor a config names it.
	unnamed bool
}

func placeOf(cfg *config.Config) place {
	return place{Store: cfg.Store, partitions: cfg.Queue.Partitions, file: cfg.File()}
}

// String names the database without any secret.
func (p place) String() string {
	if p.Driver != config.MySQL {
		return p.Path
	}
	dsn, err := driver.ParseDSN(p.DSN.Reveal())
	if err != nil {
		return "the database of store.dsn" // the config has checked it
	}
	return fmt.Sprintf("the database %s at %s", dsn.DBName, dsn.Addr)
}

// exists reports whether the database is there, as far as that can be known
// without asking a server.
func (p place) exists() bool {
	if p.Driver == config.MySQL {
		return true
	}
	_, err := os.Stat(p.Path)
	return !errors.Is(err, fs.ErrNotExist)
}

// schema reads how far the schema is, and changes nothing.
func (p place) schema(ctx context.Context) (store.Schema, error) {
	if p.Driver == config.MySQL {
		return mysql.SchemaOf(ctx, p.DSN)
	}
	if !p.exists() {
		return store.Schema{}, p.missing()
	}
	return sqlite.SchemaOf(ctx, p.Path)
}

// base is an open database, and what is known of it that not all have.
type base struct {
	store.Store
	place place
	// partitions is how many there are.
	partitions int
	// shared says that any number of nodes work on it.
	shared bool
	// writes tells what its writers did.
	writes func() telemetry.Writes
}

// open opens the database. Its schema is brought up to date first if the
// config lets it, and otherwise has to be.
func (p place) open(ctx context.Context, log *slog.Logger) (*base, error) {
	if p.Driver == config.MySQL {
		s, err := mysql.Open(ctx, mysql.Config{DSN: p.DSN, Partitions: p.partitions, Migrate: p.Migrate, Logger: log})
		if err != nil {
			return nil, p.behind(err)
		}
		return p.opened(ctx, s, s.Partitions(), true, func() telemetry.Writes {
			st := s.Stats()
			return telemetry.Writes{
				Commits: st.Commits, Members: st.Members, Waiting: st.Waiting,
				Replays: st.Replays + st.Conflicts + st.Lost,
			}
		})
	}
	if !p.Migrate {
		if err := p.upToDate(ctx); err != nil {
			return nil, err
		}
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: p.Path, Partitions: p.partitions, Clock: time.Now, Logger: log})
	if err != nil {
		return nil, err
	}
	return p.opened(ctx, s, s.Partitions(), false, func() telemetry.Writes {
		st := s.Stats()
		return telemetry.Writes{Commits: st.Commits, Members: st.Members, Replays: st.Replays, Waiting: st.Waiting}
	})
}

func (p place) upToDate(ctx context.Context) error {
	if !p.exists() {
		return p.missing()
	}
	s, err := p.schema(ctx)
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		return p.behind(fmt.Errorf("the database %s cannot be used: %w", p, err))
	}
	return nil
}

// behind has an error about a schema that is behind say which command brings
// this one up to date.
func (p place) behind(err error) error {
	var b *store.BehindError
	if !errors.As(err, &b) {
		return err
	}
	return fmt.Errorf("store.migrate is false, and %s is not up to date: %s", p, b.With(p.migrateUp()))
}

// migrateUp is the command that brings this database up to date.
func (p place) migrateUp() string {
	if p.file == "" {
		return "skadi migrate up"
	}
	return "skadi migrate up -c " + p.file
}

// passing reports whether an error of the database may mend by itself.
func (p place) passing(err error) bool { return p.Driver == config.MySQL && mysql.IsPassing(err) }

// opened refuses half a database, which a copy that broke off leaves behind.
func (p place) opened(ctx context.Context, s store.Store, partitions int, shared bool, writes func() telemetry.Writes) (*base, error) {
	if err := storecopy.Unfinished(ctx, s); err != nil {
		return nil, joined(fmt.Errorf("open %s: %w", p, err), s.Close)
	}
	return &base{Store: s, place: p, partitions: partitions, shared: shared, writes: writes}, nil
}

// warnShared has the log say that another server works on the same file. Each
// learns of what the other has done by looking only, now and then.
func (b *base) warnShared(ctx context.Context, log *slog.Logger) {
	s, ok := b.Store.(*sqlite.Store)
	if !ok {
		return
	}
	if _, first, err := s.Alone().Acquire(ctx, "", 0); err == nil && !first {
		log.Warn("another server works on this database: this one stands by to take its place, and jobs wait longer meanwhile; "+
			"a SQLite file is for one server, and MySQL for many", "path", b.place.Path)
	}
}

// leases returns the leases of a node under which it relays and replies: one
// process at a time does so for a file, for as long as it runs.
func (b *base) leases(holder string) chat.Leaser {
	if s, ok := b.Store.(*sqlite.Store); ok {
		return s.Alone()
	}
	return b.Leaser(holder)
}

// show lets other processes see the leases of such a node that are not in the
// database.
func (b *base) show(holder string) func(ctx context.Context, names []string) error {
	s, ok := b.Store.(*sqlite.Store)
	if !ok {
		return nil
	}
	return func(ctx context.Context, names []string) error {
		return s.ShowLeases(ctx, holder, names, nodes.AliveFor)
	}
}
