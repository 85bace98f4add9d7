package mysql

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// Raw returns connections to the database, for a program that copies it row by
// row. They end with the store, and are not to be closed before.
func (s *Store) Raw() *sql.DB { return s.db }

// Unbundle gives each event that the queue does not have yet a row of its own
// in the table unpublished, as the other kind of database has it. A server that
// works on the database meanwhile publishes some events twice.
func (s *Store) Unbundle(ctx context.Context) error {
	for {
		left := false
		err := s.write(ctx, maxBatch, func(t *tx) (err error) {
			left, err = t.unbundle()
			return err
		})
		if err != nil || !left {
			return err
		}
	}
}

// unbundle does so for some rows, and reports whether there may be more.
func (t *tx) unbundle() (more bool, err error) {
	from, err := t.query(`SELECT seq, events FROM outbox ORDER BY seq LIMIT ? FOR UPDATE`, int64(readBundles))
	if err != nil {
		return false, err
	}
	var seqs []int64
	var args []any
	var seq int64
	var text string
	var failed error
	err = row.Each(from, []any{&seq, &text}, func() {
		lots, err := lotsOf(seq, text)
		if err != nil {
			failed = err
		}
		seqs = append(seqs, seq)
		each(lots, func(k row.EventKey) { args = append(args, k.Subject, k.Version) })
	})
	if err = errors.Join(err, failed); err != nil || len(seqs) == 0 {
		return false, err
	}
	if err := t.insert(`INSERT INTO unpublished (subject, version) VALUES `, 2, args, ""); err != nil {
		return false, err
	}
	_, err = t.exec(`DELETE FROM outbox WHERE seq IN ` + seqList(seqs))
	return true, err
}

// Fit returns what the store keeps of a text in a column of that type and
// length, both as information_schema has them.
func Fit(dataType string, length int64, text string) string {
	switch dataType {
	case "varbinary":
		if length == maxKey {
			return keyText(text)
		}
		return text
	case "longblob":
		return text
	case "text":
		return shortText(text)
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// PastColumn is a column of jobs in which a part of the events is kept; see
// Pasts.
const PastColumn = historyColumn

// Pasts reads the events in PastColumn, of all jobs, and calls each with the
// values of row.PlainEventColumns of each event, as the table events would have
// them.
func Pasts(ctx context.Context, from *sql.Conn, each func(values []any) error) error {
	rows, err := from.QueryContext(ctx, `SELECT `+pastColumns+` FROM jobs j WHERE j.history <> ''`) //nolint:rowserrcheck // row.Each does
	if err != nil {
		return err
	}
	var p past
	var failed error
	err = row.Each(rows, p.dest(), func() {
		if failed != nil {
			return
		}
		var events []job.Event
		if events, failed = p.events(); failed != nil {
			return
		}
		for _, e := range events {
			if failed = each((&row.NewEvent{Event: e}).Columns(nil)); failed != nil {
				return
			}
		}
	})
	return errors.Join(err, failed)
}
