// Package row is what both databases share of rows: which columns a job, an
// event, an agent, a token and a line of the audit log have, how they are
// read, and how times and JSON are kept in them. It names no database; what
// stands here is SQL that SQLite, MySQL and MariaDB all take.
//
// Times are whole microseconds since 1970 UTC, 0 for a time that is not set.
// Texts that are not set are empty and never NULL.
package row

import (
	"errors"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// Cursor is what a query returns, such as *sql.Rows.
type Cursor interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

// One scans the only row into dest and closes the cursor. It reports whether
// there was a row.
func One(from Cursor, dest ...any) (found bool, err error) {
	defer func() { err = errors.Join(err, from.Close()) }()
	if !from.Next() {
		return false, from.Err()
	}
	if err := from.Scan(dest...); err != nil {
		return false, err
	}
	// To its end, so that a write that answers with a row is complete.
	for from.Next() {
		continue
	}
	return true, from.Err()
}

// Each scans every row into dest, calling each after it, and closes the
// cursor.
func Each(from Cursor, dest []any, each func()) (err error) {
	defer func() { err = errors.Join(err, from.Close()) }()
	for from.Next() {
		if err := from.Scan(dest...); err != nil {
			return err
		}
		each()
	}
	return from.Err()
}

// Micros is the form in which times are stored; the zero time is 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the time that was stored as us.
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// InMicroseconds makes the job's times what they will be when it is read.
func InMicroseconds(j *job.Job) {
	for _, at := range [...]*time.Time{
		&j.OfferedUntil, &j.CreatedAt, &j.SentAt, &j.LastWordAt, &j.FinishedAt, &j.DueAt, &j.CancelRequestedAt,
	} {
		*at = Time(Micros(*at))
	}
}
