package sqlite

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

var (
	unpublishedQuery = newQuery(`SELECT seq, subject, version FROM unpublished ORDER BY seq LIMIT ?`)

	unpublishedEventsQuery = newQuery(`SELECT ` + row.EventColumns + ` FROM unpublished u
		JOIN events e ON e.subject = u.subject AND e.version = u.version` + row.JoinJob + `
		WHERE u.seq IN (SELECT value FROM json_each(?))`)

	publishedRangeQuery = newQuery(`DELETE FROM unpublished WHERE seq BETWEEN ? AND ?`)

	publishedListQuery = newQuery(`DELETE FROM unpublished WHERE (subject, version) IN
		(SELECT value ->> 0, value ->> 1 FROM json_each(?))`)
)

// Unpublished implements events.Store.
func (s *Store) Unpublished(ctx context.Context, max int) ([]job.Event, error) {
	rows, err := s.read.query(ctx, unpublishedQuery, int64(max))
	if err != nil {
		return nil, err
	}
	var (
		events  []job.Event
		seqs    []int64 // of those not remembered
		missing = map[row.EventKey]int{}
		seq     int64
		key     row.EventKey
	)
	for rows.Next() {
		if err := rows.Scan(&seq, &key.Subject, &key.Version); err != nil {
			return nil, errors.Join(s.read.explain(err), rows.Close())
		}
		if events == nil {
			events = make([]job.Event, 0, min(max, 256))
		}
		if e, ok := s.recent.Get(key); ok && e.Seq == seq {
			events = append(events, e.Event)
			continue
		}
		missing[key] = len(events)
		seqs = append(seqs, seq)
		events = append(events, job.Event{})
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, s.read.explain(err)
	}
	if len(seqs) == 0 {
		return events, nil
	}
	if rows, err = s.read.query(ctx, unpublishedEventsQuery, jsonList(seqs)); err != nil {
		return nil, err
	}
	read, err := row.Events(rows)
	if err != nil {
		return nil, s.read.explain(err)
	}
	for i := range read {
		if at, ok := missing[row.KeyOf(&read[i])]; ok {
			events[at] = read[i]
		}
	}
	// Those that were published between the two reads are no more.
	return slices.DeleteFunc(events, func(e job.Event) bool { return e.Subject == "" }), nil
}

// MarkPublished implements events.Store.
func (s *Store) MarkPublished(ctx context.Context, events []job.Event) error {
	if len(events) == 0 {
		return nil
	}
	// Rows have no index by event: their numbers are remembered, or else the
	// rows are searched.
	var seqs []int64
	var others [][2]any
	for i := range events {
		k := row.KeyOf(&events[i])
		if e, ok := s.recent.Get(k); ok {
			seqs = append(seqs, e.Seq)
		} else {
			others = append(others, [2]any{k.Subject, k.Version})
		}
	}
	slices.Sort(seqs)
	err := s.write.do(ctx, &work{rows: len(events), do: func(t *tx) error {
		for rest := seqs; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n] == rest[n-1]+1 {
				n++
			}
			if _, err := t.exec(publishedRangeQuery, rest[0], rest[n-1]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		if len(others) == 0 {
			return nil
		}
		_, err := t.exec(publishedListQuery, row.JSONText(others))
		return err
	}})
	if err == nil {
		s.recent.Remove(events)
	}
	return err
}

var (
	backlogQuery = newQuery(`SELECT count(*) FROM untold`)

	oldestQuery = newQuery(`SELECT e.at FROM conversations c
		JOIN untold u ON u.account = c.account AND u.key = c.key AND u.seq = c.first
		JOIN events e ON e.subject = u.subject AND e.version = u.version
		WHERE c.first = (SELECT min(first) FROM conversations WHERE first > 0)`)
)

// Backlog implements events.Store.
func (s *Store) Backlog(ctx context.Context) (open int64, oldest time.Duration, err error) {
	if _, err := s.read.row(ctx, backlogQuery, nil, &open); err != nil || open == 0 {
		return 0, 0, err
	}
	var at int64
	if found, err := s.read.row(ctx, oldestQuery, nil, &at); err != nil || !found {
		return open, 0, err
	}
	return open, max(s.now().Sub(row.Time(at)), 0), nil
}
