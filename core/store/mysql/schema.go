package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/migrations"
)

// SchemaOf reads how far the schema of a database is, and changes nothing.
func SchemaOf(ctx context.Context, dsn chat.Secret) (s store.Schema, err error) {
	err = withSchema(ctx, dsn, nil, func(db *sql.DB) (err error) {
		s, err = schemaOf(ctx, db)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("read the schema of the database: %w", err)
	}
	return s, nil
}

// Migrate brings the schema of a database up to date. Of several processes
// that do so at a time one works and the others wait for it. What a process
// that died left half done is done again. A schema that is newer than this
// program is left alone, and is an error if the program cannot use it.
func Migrate(ctx context.Context, dsn chat.Secret, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	err := withSchema(ctx, dsn, log, func(db *sql.DB) error {
		for try := 1; ; try++ {
			err := migrate(ctx, db, migrateLease, log)
			// The servers of a cluster do not wait for each other's locks; whoever
			// is second learns that so. One that did wait has waited long enough.
			if !isConflict(err) || number(err) == erLockWait || try == conflictTries {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// withSchema does something about the schema on connections of its own, whose
// statements may take as long as they take.
func withSchema(ctx context.Context, dsn chat.Secret, log *slog.Logger, do func(*sql.DB) error) error {
	s, err := newSession(Config{DSN: dsn, Logger: log}, false)
	if err != nil {
		return err
	}
	s.config.ReadTimeout = 0
	if s.inner, err = mysql.NewConnector(s.config); err != nil {
		return err
	}
	// Not to hold up everybody behind a change that itself waits for one
	// transaction, such as a backup.
	s.setup = append(s.setup, "SET SESSION lock_wait_timeout = 30")
	db := openPool(s)
	defer func() { _ = db.Close() }()
	if err := db.PingContext(ctx); err != nil {
		return explainOpen(s.config, err)
	}
	if err := do(db); err != nil {
		return explainOpen(s.config, err)
	}
	return nil
}

// steps returns the migrations, and the version that they lead to.
func steps(db *sql.DB) (provider *goose.Provider, newest int64, err error) {
	files, err := fs.Sub(migrations.MySQL, "mysql")
	if err != nil {
		return nil, 0, err
	}
	provider, err = goose.NewProvider(goose.DialectMySQL, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, 0, fmt.Errorf("read the migrations: %w", err)
	}
	sources := provider.ListSources()
	return provider, sources[len(sources)-1].Version, nil
}

// settingMinReader names the oldest version of the schema whose programs may
// still use the database.
const settingMinReader = "min_reader"

// checkVersion refuses a schema that this program cannot use.
func checkVersion(ctx context.Context, db *sql.DB) error {
	s, err := schemaOf(ctx, db)
	if err != nil {
		return err
	}
	return s.Err()
}

// schemaOf reads the schema's state. A database without a schema has version
// 0.
func schemaOf(ctx context.Context, db *sql.DB) (s store.Schema, err error) {
	if _, s.Newest, err = steps(db); err != nil {
		return s, err
	}
	const highest = `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied`
	err = db.QueryRowContext(ctx, highest).Scan(&s.Version)
	if number(err) == erNoSuchTable {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read the schema's version: %w", err)
	}
	if s.Version == 0 {
		return s, nil
	}
	var reader string
	const ask = `SELECT value FROM settings WHERE name = ?`
	if err := db.QueryRowContext(ctx, ask, settingMinReader).Scan(&reader); errors.Is(err, sql.ErrNoRows) {
		return s, nil
	} else if err != nil {
		return s, fmt.Errorf("read the setting %s: %w", settingMinReader, err)
	}
	s.MinReader, err = strconv.ParseInt(reader, 10, 64)
	if err != nil {
		return s, fmt.Errorf("the setting %s of the database is %q and should be a number", settingMinReader, reader)
	}
	return s, nil
}

// migrate does the work of Migrate. A step is done under the lease, which is
// renewed before each and while it lasts.
func migrate(ctx context.Context, db *sql.DB, l lease, log *slog.Logger) error {
	s, err := schemaOf(ctx, db)
	if err != nil {
		return err
	}
	if s.Version >= s.Newest {
		return s.Err()
	}
	if err := l.acquire(ctx, db, log); err != nil {
		return fmt.Errorf("wait for the other process that migrates the schema: %w", err)
	}
	defer l.release(ctx, db, log)
	// Somebody may have done it in the meantime.
	if s, err = schemaOf(ctx, db); err != nil {
		return err
	}
	if s.Version >= s.Newest {
		return s.Err()
	}
	if err := prepareVersions(ctx, db); err != nil {
		return err
	}
	provider, _, err := steps(db)
	if err != nil {
		return err
	}
	for from := s.Version; ; {
		var done *goose.MigrationResult
		err := l.hold(ctx, db, func(ctx context.Context) (err error) {
			done, err = provider.UpByOne(ctx)
			return err
		})
		switch {
		case errors.Is(err, goose.ErrNoNextVersion):
			log.Info("the database's schema was brought up to date", "from", from, "to", s.Newest)
			return nil
		case err != nil:
			return fmt.Errorf("bring the schema from version %d to %d: %w", s.Version, s.Newest, err)
		}
		s.Version = done.Source.Version
	}
}

// prepareVersions makes the table in which goose keeps what was done. Goose
// does so itself, but cannot go on if it died between the table and its first
// row.
func prepareVersions(ctx context.Context, db *sql.DB) error {
	const table = `CREATE TABLE IF NOT EXISTS goose_db_version (
		id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
		version_id BIGINT          NOT NULL,
		is_applied BOOLEAN         NOT NULL,
		tstamp     DATETIME        NULL DEFAULT CURRENT_TIMESTAMP
	) ENGINE = InnoDB`
	if _, err := db.ExecContext(ctx, table); err != nil {
		return fmt.Errorf("make the table of the schema's versions: %w", err)
	}
	var rows int
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM goose_db_version`).Scan(&rows); err != nil || rows > 0 {
		return err
	}
	_, err := db.ExecContext(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, TRUE)`)
	return err
}
