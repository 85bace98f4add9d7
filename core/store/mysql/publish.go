package mysql

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

const (
	// deleteBatch is how many rows one DELETE names.
	deleteBatch = 200
	// readBatch is how many events one SELECT names.
	readBatch = 200
)

// Numbers of the outbox are given out before their transactions end, and some
// servers give them out in blocks. So rows are read as they are there, and one
// waits while an older event of the same subject has a higher number.
const (
	unpublishedQuery = `SELECT u.seq, u.subject, u.version FROM unpublished u
		WHERE NOT EXISTS (SELECT 1 FROM unpublished l FORCE INDEX (unpublished_of)
			WHERE l.subject = u.subject AND l.version < u.version AND l.seq > u.seq)
		ORDER BY u.seq LIMIT ?`

	// What follows is ofEvents.
	eventsQuery = `SELECT ` + row.EventColumns + ` FROM events e` + row.JoinJob + `WHERE `

	backlogQuery = `SELECT COUNT(*) FROM untold`

	oldestQuery = `SELECT e.at FROM untold u JOIN events e ON e.subject = u.subject AND e.version = u.version
		ORDER BY u.seq LIMIT 1`
)

// outboxNumbers remembers the numbers of the events that were read to be
// published, since a row is found soonest by its number.
type outboxNumbers struct {
	mu   sync.Mutex
	seqs map[row.EventKey]int64
}

// maxOutboxNumbers bounds what is remembered of events that were read and
// never marked.
const maxOutboxNumbers = 1 << 15

func (o *outboxNumbers) add(events []job.Event, seqs []int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seqs == nil || len(o.seqs) > maxOutboxNumbers {
		o.seqs = make(map[row.EventKey]int64, len(events))
	}
	for i := range events {
		o.seqs[row.KeyOf(&events[i])] = seqs[i]
	}
}

// take returns the numbers of the events and forgets them; others are the
// events whose number is not known.
func (o *outboxNumbers) take(events []job.Event) (seqs []int64, others []row.EventKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range events {
		k := row.KeyOf(&events[i])
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
func (s *Store) Unpublished(ctx context.Context, max int) ([]job.Event, error) {
	from, err := s.query(ctx, unpublishedQuery, int64(max))
	if err != nil {
		return nil, err
	}
	var (
		events  []job.Event
		seqs    []int64
		missing []row.EventKey // those not remembered
		at      = map[row.EventKey]int{}
		seq     int64
		key     row.EventKey
	)
	err = row.Each(from, []any{&seq, &key.Subject, &key.Version}, func() {
		event := job.Event{}
		if e, ok := s.recent.Get(key); ok {
			event = e.Event
		} else {
			missing = append(missing, key)
			at[key] = len(events)
		}
		events, seqs = append(events, event), append(seqs, seq)
	})
	if err != nil {
		return nil, s.explain(err)
	}
	for batch := range slices.Chunk(missing, readBatch) {
		which, args := ofEvents("e.", batch)
		from, err := s.query(ctx, eventsQuery+which, args...)
		if err != nil {
			return nil, err
		}
		read, err := row.Events(from)
		if err != nil {
			return nil, s.explain(err)
		}
		for _, e := range read {
			events[at[row.KeyOf(&e)]] = e
		}
	}
	// Those that were removed between the two reads are no more.
	there := 0
	for i := range events {
		if events[i].Subject != "" {
			events[there], seqs[there] = events[i], seqs[i]
			there++
		}
	}
	events, seqs = events[:there], seqs[:there]
	s.outbox.add(events, seqs)
	return events, nil
}

// MarkPublished implements events.Store.
func (s *Store) MarkPublished(ctx context.Context, events []job.Event) error {
	if len(events) == 0 {
		return nil
	}
	seqs, others := s.outbox.take(events)
	err := s.write(ctx, len(events), func(t *tx) error {
		for batch := range slices.Chunk(seqs, deleteBatch) {
			if _, err := t.exec(`DELETE FROM unpublished WHERE seq IN `+in(len(batch)), anys(batch)...); err != nil {
				return err
			}
		}
		for batch := range slices.Chunk(others, deleteBatch) {
			which, args := ofEvents("", batch)
			if _, err := t.exec(`DELETE FROM unpublished WHERE `+which, args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.recent.Remove(events)
	}
	return err
}

// ofEvents is a condition that rows are of these events, in the form that
// both servers read from an index. prefix is the table's name, with a dot, if
// the query has several.
func ofEvents(prefix string, keys []row.EventKey) (which string, args []any) {
	one := `(` + prefix + `subject = ? AND ` + prefix + `version = ?)`
	for _, k := range keys {
		args = append(args, k.Subject, k.Version)
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
