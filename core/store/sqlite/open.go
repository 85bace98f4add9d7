package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/migrations"
)

// header is what every SQLite file begins with.
const header = "SQLite format 3\x00"

// prepareFile checks that the database can be where it is said to be, and
// makes an empty file that only its owner can read if there is none.
func prepareFile(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path is given: name the database's file")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	folder := filepath.Dir(path)
	switch info, err := os.Stat(folder); {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("the folder %s is not there: make it first", folder)
	case err != nil:
		return "", fmt.Errorf("the folder %s cannot be used: %w", folder, err)
	case !info.IsDir():
		return "", fmt.Errorf("%s is not a folder, so no database can be in it", folder)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return "", fmt.Errorf("%s is a folder: name a file in it, such as %s", path, filepath.Join(path, "skadi.db"))
	}
	f, err := openOrMake(path)
	if err != nil {
		return "", fmt.Errorf("%s cannot be written by this user: %w", path, err)
	}
	return path, errors.Join(checkHeader(f, path), f.Close())
}

// openOrMake opens a file to read and write. One that is not there is made, for
// its owner alone, who is the folder's owner if root makes it.
func openOrMake(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if err := belong(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func checkHeader(f *os.File, path string) error {
	head := make([]byte, len(header))
	n, err := io.ReadFull(f, head)
	switch {
	case errors.Is(err, io.EOF):
		return nil // empty: a database to be
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s cannot be read: %w", path, err)
	case !bytes.Equal(head[:n], []byte(header)):
		return fmt.Errorf("%s is not a SQLite database, or is damaged: give the path of another file, or restore a backup in its place (%w)", path, job.ErrUnavailable)
	}
	return nil
}

// dsn returns how the driver is told to open the file.
func dsn(path string, busy time.Duration, pragmas ...string) string {
	v := url.Values{"_pragma": append([]string{
		// First, so that the others wait for another process too.
		"busy_timeout(" + strconv.FormatInt(busy.Milliseconds(), 10) + ")",
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"trusted_schema(0)",
	}, pragmas...)}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: v.Encode()}
	return u.String()
}

// useFdatasync makes commits wait for the data and not for the file's times,
// which is as durable and takes half as long on many file systems.
var useFdatasync = sync.OnceFunc(func() {
	_, _ = sqlite.Fdatasync(true) // not there on every system, nor needed
})

// migrate brings the schema up to date. A process at a time does so; a schema
// newer than this program is refused.
func migrate(ctx context.Context, path string, busy time.Duration, log *slog.Logger) error {
	db, err := sql.Open("sqlite", dsn(path, busy))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	steps, err := fs.Sub(migrations.SQLite, "sqlite")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, steps,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	current, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	if current == newest {
		return nil
	}
	if current > newest {
		return newerError(path, current, newest)
	}
	unlock, err := lockFile(ctx, path+".migrate", busy)
	if err != nil {
		return err
	}
	defer unlock()
	// Another process may have been at it in the meantime.
	if current, err = schemaVersion(ctx, db); err != nil {
		return err
	}
	if current > newest {
		return newerError(path, current, newest)
	}
	done, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("bring the schema of %s from version %d to %d: %w", path, current, newest, err)
	}
	if len(done) > 0 {
		log.Info("the database's schema was brought up to date", "path", path, "from", current, "to", newest)
	}
	return nil
}

// schemaVersion returns the version of the database's schema, 0 for a
// database that has none yet.
func schemaVersion(ctx context.Context, db *sql.DB) (version int64, err error) {
	var tables int
	const isThere = `SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'`
	if err := db.QueryRowContext(ctx, isThere).Scan(&tables); err != nil {
		return 0, fmt.Errorf("read the schema: %w", err)
	}
	if tables == 0 {
		return 0, nil
	}
	const highest = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`
	if err := db.QueryRowContext(ctx, highest).Scan(&version); err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return version, nil
}

func newerError(path string, current, newest int64) error {
	return fmt.Errorf("%s was written by a newer Skadi: its schema has version %d and this program knows up to %d; "+
		"run the newer program, or restore a backup made before the upgrade", path, current, newest)
}
