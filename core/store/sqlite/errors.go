package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/letserverrun/skadi/core/job"
)

// primary returns SQLite's code for err without its details, or 0 if err is
// not of SQLite.
func primary(err error) int { return extended(err) & 0xff }

func extended(err error) int {
	var se *sqlite.Error
	if errors.As(err, &se) {
		return se.Code()
	}
	return 0
}

// explain gives an error of the database the meaning that callers test for.
func explain(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, job.ErrUnavailable), errors.Is(err, job.ErrFull):
		return err
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, driver.ErrBadConn):
		return fmt.Errorf("%w: %w", job.ErrUnavailable, err)
	}
	switch primary(err) {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: free some space on the database's disk (%w)", job.ErrFull, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: another process keeps it locked (%w)", job.ErrUnavailable, err)
	case sqlite3.SQLITE_IOERR:
		if extended(err) == sqlite3.SQLITE_IOERR_SHMSIZE {
			return fmt.Errorf("%w: free some space on the database's disk (%w)", job.ErrFull, err)
		}
		return fmt.Errorf("%w: its disk reports errors (%w)", job.ErrUnavailable, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: its file is damaged; restore a backup (%w)", job.ErrUnavailable, err)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL:
		return fmt.Errorf("%w: %w", job.ErrUnavailable, err)
	}
	return err
}

// explainOpen is explain for somebody who starts the program: it says which
// file is meant and how to mend it.
func explainOpen(path string, err error) error {
	switch primary(err) {
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%s is damaged: move it away together with its -wal and -shm files and restore a backup in its place (%w: %w)", path, job.ErrUnavailable, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%s is not a SQLite database: give the path of another file, or restore a backup in its place (%w: %w)", path, job.ErrUnavailable, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%s is locked by another process: stop whatever has the file open (`fuser %s` names it) and start again (%w: %w)", path, path, job.ErrUnavailable, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk of %s is full: free some space and start again (%w: %w)", path, job.ErrFull, err)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return fmt.Errorf("%s cannot be written: the file and its folder must belong to the user that runs Skadi (%w: %w)", path, job.ErrUnavailable, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("the disk of %s reports errors: see the system's log (%w: %w)", path, job.ErrUnavailable, err)
	}
	return err
}

// refusal is an error about what was asked, not about the database: it goes
// to the caller and leaves the other members of the transaction alone.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }

func (r *refusal) Unwrap() error { return r.err }

// refuse makes err a refusal. Nothing may have been written before it.
func refuse(err error) error { return &refusal{err: err} }
