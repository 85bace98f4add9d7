package mysql

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// deleteBatch is how many rows one DELETE names.
const deleteBatch = 200

// Numbers of the outbox are given out before their transactions end, and some
// servers give them out in blocks. So rows are read as they are there, and one
// waits while an older event of the same subject has a higher number.
const (
	unpublishedQuery = `SELECT u.seq, ` + row.EventColumns + ` FROM (
			SELECT u.seq, u.subject, u.version FROM unpublished u
			WHERE NOT EXISTS (SELECT 1 FROM unpublished l FORCE INDEX (unpublished_of)
				WHERE l.subject = u.subject AND l.version < u.version AND l.seq > u.seq)
			ORDER BY u.seq LIMIT ?
		) u JOIN events e ON e.subject = u.subject AND e.version = u.version` + row.JoinJob + ` ORDER BY u.seq`

	backlogQuery = `SELECT COUNT(*) FROM untold`

	oldestQuery = `SELECT e.at FROM untold u JOIN events e ON e.subject = u.subject AND e.version = u.version
		ORDER BY u.seq LIMIT 1`
)

type eventKey struct {
	subject string
	version int64
}

// outboxNumbers remembers the numbers of the events that were read to be
// published, since a row is found soonest by its number.
type outboxNumbers struct {
	mu   sync.Mutex
	seqs map[eventKey]int64
}

// maxOutboxNumbers bounds what is remembered of events that were read and
// never marked.
const maxOutboxNumbers = 1 << 15

func (o *outboxNumbers) add(events []job.Event, seqs []int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seqs == nil || len(o.seqs) > maxOutboxNumbers {
		o.seqs = make(map[eventKey]int64, len(events))
	}
	for i := range events {
		o.seqs[eventKey{events[i].Subject, events[i].Version}] = seqs[i]
	}
}

// take returns the numbers of the events and forgets them; others are the
// events whose number is not known.
func (o *outboxNumbers) take(events []job.Event) (seqs []int64, others []eventKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range events {
		k := eventKey{events[i].Subject, events[i].Version}
		if seq, known := o.seqs[k]; known {
			seqs = append(seqs, seq)
			delete(o.seqs, k)
		} else {
			others = append(others, k)
		}
	}
	slices.Sort(seqs)
	return seqs, others
}

// Unpublished implements events.Store.
func (s *Store) Unpublished(ctx context.Context, max int) (events []job.Event, err error) {
	from, err := s.query(ctx, unpublishedQuery, int64(max))
	if err != nil {
		return nil, err
	}
	var r row.Event
	var seq int64
	var seqs []int64
	var failed error
	err = row.Each(from, append([]any{&seq}, r.Dest()...), func() {
		e, err := r.Read()
		if err != nil {
			failed = err
		}
		events, seqs = append(events, e), append(seqs, seq)
	})
	if err = errors.Join(s.explain(err), failed); err != nil {
		return nil, err
	}
	s.outbox.add(events, seqs)
	return events, nil
}

// MarkPublished implements events.Store.
func (s *Store) MarkPublished(ctx context.Context, events []job.Event) error {
	if len(events) == 0 {
		return nil
	}
	seqs, others := s.outbox.take(events)
	return s.write(ctx, len(events), func(t *tx) error {
		for batch := range slices.Chunk(seqs, deleteBatch) {
			if _, err := t.exec(`DELETE FROM unpublished WHERE seq IN `+in(len(batch)), anys(batch)...); err != nil {
				return err
			}
		}
		for batch := range slices.Chunk(others, deleteBatch) {
			which, args := ofEvents(batch)
			if _, err := t.exec(`DELETE FROM unpublished WHERE `+which, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// ofEvents is a condition that rows are of these events, in the form that
// both servers read from an index.
func ofEvents(keys []eventKey) (which string, args []any) {
	const one = `(subject = ? AND version = ?)`
	for _, k := range keys {
		args = append(args, k.subject, k.version)
	}
	return `(` + one + strings.Repeat(` OR `+one, len(keys)-1) + `)`, args
}

// Backlog implements events.Store.
func (s *Store) Backlog(ctx context.Context) (open int64, oldest time.Duration, err error) {
	if _, err := s.row(ctx, backlogQuery, nil, &open); err != nil || open == 0 {
		return 0, 0, err
	}
	var at int64
	found, err := s.row(ctx, oldestQuery, nil, &at)
	if err != nil || !found {
		return open, 0, err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return open, 0, err
	}
	return open, max(now.Sub(row.Time(at)), 0), nil
}
