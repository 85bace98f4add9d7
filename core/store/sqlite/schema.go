package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/migrations"
)

// schemaBusy is how long SchemaOf waits for a process that writes the schema.
const schemaBusy = 10 * time.Second

// SchemaOf reads how far the schema of a database is, and changes nothing.
func SchemaOf(ctx context.Context, path string) (s store.Schema, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return store.Schema{}, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("read the schema: %w", explainOpen(path, err))
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return store.Schema{}, err
	}
	if err := errors.Join(checkHeader(f, path), f.Close()); err != nil {
		return store.Schema{}, err
	}
	db, err := sql.Open("sqlite", dsn(path, schemaBusy))
	if err != nil {
		return store.Schema{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if s.Newest, err = newestSchema(db); err != nil {
		return store.Schema{}, err
	}
	s.Version, err = schemaVersion(ctx, db)
	return s, err
}

// newestSchema is the version that this program brings a schema to.
func newestSchema(db *sql.DB) (int64, error) {
	steps, err := fs.Sub(migrations.SQLite, "sqlite")
	if err != nil {
		return 0, err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, steps,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return 0, fmt.Errorf("read the migrations: %w", err)
	}
	sources := provider.ListSources()
	return sources[len(sources)-1].Version, nil
}
