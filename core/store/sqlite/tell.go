package sqlite

import (
	"fmt"

	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// tell has the events inserted with the transaction. j is the job that they
// are about, or nil.
func (t *tx) tell(j *job.Job, events []job.Event) error {
	told, err := row.Tell(j, events)
	t.events = append(t.events, told...)
	return err
}

var (
	insertStatusQueries = newChunks(`INSERT INTO events (`+row.PlainEventColumns+`) VALUES `, row.PlainEventWidth)

	insertEventQuery = newQuery(`INSERT INTO events
		(` + row.PlainEventColumns + `, ` + row.RareEventColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)

	insertUnpublishedQueries = newChunks(`INSERT INTO unpublished (seq, subject, version) VALUES `, 3)

	insertUntoldQuery = newQuery(`INSERT INTO untold (account, key, seq, subject, version) VALUES (?, ?, ?, ?, ?)`)

	openConversationQuery = newQuery(`INSERT INTO conversations (account, key, part, first) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET first = excluded.first WHERE first = 0`)
)

// insertEvents inserts the transaction's events and what is left to do about
// them.
func (t *tx) insertEvents() error {
	if len(t.events) == 0 {
		return nil
	}
	seq, err := t.w.state.take(t, int64(len(t.events)))
	if err != nil {
		return err
	}
	args := t.args[:0]
	for _, e := range t.events {
		seq++
		e.Seq = seq
		args = append(args, seq, e.Subject, e.Version)
	}
	if err := insertUnpublishedQueries.exec(t, args); err != nil {
		return err
	}
	args = args[:0]
	for _, e := range t.events {
		if e.IsPlain() {
			args = e.Columns(args)
		}
	}
	t.args = args
	if err := insertStatusQueries.exec(t, args); err != nil {
		return err
	}
	for _, e := range t.events {
		if !e.IsPlain() {
			if err := t.insertEvent(e); err != nil {
				return err
			}
		}
		if err := t.open(e); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) insertEvent(e *row.NewEvent) error {
	args := e.Rare(e.Columns(t.args[:0]))
	t.args = args
	if _, err := t.exec(insertEventQuery, args...); err != nil {
		return fmt.Errorf("write event %s: %w", e.ID(), err)
	}
	return nil
}

// open notes that the event is to be told.
func (t *tx) open(e *row.NewEvent) error {
	c := e.Conversation
	if c == nil {
		return nil
	}
	if _, err := t.exec(insertUntoldQuery, c.Account, c.Key, e.Seq, e.Subject, e.Version); err != nil {
		return err
	}
	part := int64(events.PartitionOf(c.Account, c.Key, t.w.store.partitions))
	_, err := t.exec(openConversationQuery, c.Account, c.Key, part, e.Seq)
	return err
}
