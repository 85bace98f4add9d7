package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/internal/throwaway"
	"github.com/letserverrun/skadi/migrations"
)

// newDatabase makes an empty database, which has no schema yet.
func newDatabase(t *testing.T) chat.Secret {
	t.Helper()
	return chat.Secret(throwaway.MariaDB(t).Database(t))
}

// testDB connects to the database beside the store.
func testDB(t *testing.T, dsn chat.Secret) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func execAll(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// checkMigrated fails unless the schema is there, and was made once.
func checkMigrated(t *testing.T, dsn chat.Secret) {
	t.Helper()
	s, err := SchemaOf(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if s.Version != s.Newest || s.Newest < 1 || s.MinReader < 1 || s.Err() != nil {
		t.Fatalf("the schema is %+v", s)
	}
	var rows, versions int64
	err = testDB(t, dsn).QueryRowContext(t.Context(),
		`SELECT COUNT(*), COUNT(DISTINCT version_id) FROM goose_db_version`).Scan(&rows, &versions)
	if err != nil || rows != versions || rows != s.Newest+1 {
		t.Fatalf("%d steps were recorded, of %d versions, up to %d: %v", rows, versions, s.Newest, err)
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	if s, err := SchemaOf(t.Context(), dsn); err != nil || s.Version != 0 || s.Newest < 1 {
		t.Fatalf("the schema of an empty database is %+v, %v", s, err)
	}
	if _, err := Open(t.Context(), Config{DSN: dsn}); err == nil || !strings.Contains(err.Error(), "skadi migrate up") {
		t.Fatalf("a database without a schema is opened: %v", err)
	}
	for range 2 {
		if err := Migrate(t.Context(), dsn, nil); err != nil {
			t.Fatal(err)
		}
		checkMigrated(t, dsn)
	}
}

// TestMigrateAgain migrates what a process that died left half done.
func TestMigrateAgain(t *testing.T) {
	t.Parallel()
	text, err := migrations.MySQL.ReadFile("mysql/00001_jobs.sql")
	if err != nil {
		t.Fatal(err)
	}
	var statements []string
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		code, _, _ := strings.Cut(line, "--")
		b.WriteString(code + "\n")
		if strings.HasSuffix(strings.TrimSpace(code), ";") {
			statements = append(statements, b.String())
			b.Reset()
		}
	}
	for name, left := range map[string][]string{
		"some tables":           statements[:len(statements)/2],
		"all but the record":    statements,
		"a table of no version": {`CREATE TABLE goose_db_version (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, version_id BIGINT NOT NULL, is_applied BOOLEAN NOT NULL, tstamp DATETIME NULL DEFAULT CURRENT_TIMESTAMP)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := newDatabase(t)
			execAll(t, testDB(t, dsn), left...)
			if err := Migrate(t.Context(), dsn, nil); err != nil {
				t.Fatal(err)
			}
			checkMigrated(t, dsn)
		})
	}
}

// TestMigrateAgainEachStep has a process die after a step was done and before it
// was recorded.
func TestMigrateAgainEachStep(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	if err := Migrate(t.Context(), dsn, nil); err != nil {
		t.Fatal(err)
	}
	s, err := SchemaOf(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	for version := s.Newest; version > 0; version-- {
		execAll(t, testDB(t, dsn), fmt.Sprintf(`DELETE FROM goose_db_version WHERE version_id >= %d`, version))
		if err := Migrate(t.Context(), dsn, nil); err != nil {
			t.Fatalf("again from step %d on: %v", version, err)
		}
		checkMigrated(t, dsn)
	}
}

// TestMigrateTogether has several processes, each with connections and a
// lease of its own, find an empty database at once.
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := Migrate(t.Context(), dsn, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	checkMigrated(t, dsn)
}

func TestMigrateAfterOneThatDied(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	db := testDB(t, dsn)
	log := slog.New(slog.DiscardHandler)
	quick := lease{ttl: time.Minute, retry: time.Millisecond}
	dead := quick
	if err := dead.acquire(t.Context(), db, log); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := migrate(short, db, quick, log); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("two migrate at a time: %v", err)
	}
	execAll(t, db, `UPDATE schema_lock SET ends_at = 1`)
	if err := migrate(t.Context(), db, quick, log); err != nil {
		t.Fatal(err)
	}
	checkMigrated(t, dsn)
	// The one that was thought dead goes on: it learns so before it does
	// anything.
	err := dead.hold(t.Context(), db, func(context.Context) error {
		t.Error("the work was done without the lease")
		return nil
	})
	if !errors.Is(err, errLeaseLost) {
		t.Fatalf("a lease that another process took: %v", err)
	}
}

func TestMigrateStopsWithoutLease(t *testing.T) {
	t.Parallel()
	db := testDB(t, newDatabase(t))
	log := slog.New(slog.DiscardHandler)
	l := lease{ttl: 300 * time.Millisecond, retry: time.Millisecond}
	if err := l.acquire(t.Context(), db, log); err != nil {
		t.Fatal(err)
	}
	err := l.hold(t.Context(), db, func(ctx context.Context) error {
		// Renewed for longer than it lasts.
		for end := time.Now().Add(2 * l.ttl); time.Now().Before(end); {
			var holds bool
			err := db.QueryRowContext(ctx, `SELECT holder = ? FROM schema_lock`, l.id).Scan(&holds)
			if err != nil || !holds {
				return errors.Join(errors.New("the lease is not held"), err)
			}
		}
		execAll(t, db, `UPDATE schema_lock SET holder = 'another'`)
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, errLeaseLost) {
		t.Fatalf("the work ended with %v", err)
	}
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	if err := Migrate(t.Context(), dsn, nil); err != nil {
		t.Fatal(err)
	}
	db := testDB(t, dsn)
	execAll(t, db, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (4711, TRUE)`)
	open := func() error {
		s, err := Open(t.Context(), Config{DSN: dsn, Migrate: true})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	// A release adds to the schema what programs of the one before ignore.
	if err := open(); err != nil {
		t.Fatalf("a schema that is newer by what this program ignores: %v", err)
	}
	for value, says := range map[string]string{"4711": "newer Skadi", "5": "newer Skadi", "all": `"all"`} {
		execAll(t, db, `UPDATE settings SET value = '`+value+`' WHERE name = 'min_reader'`)
		if err := open(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("a schema for readers from %s on: %v", value, err)
		}
	}
	execAll(t, db, `DELETE FROM settings WHERE name = 'min_reader'`)
	if err := open(); err == nil || !strings.Contains(err.Error(), "4711") {
		t.Errorf("a newer schema that says nothing of its readers: %v", err)
	}
}
