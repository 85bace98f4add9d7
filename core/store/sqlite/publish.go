package sqlite

import (
	"context"
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
	if events := s.recent.run(max); len(events) > 0 {
		return events, nil
	}
	rows, err := s.read.query(ctx, unpublishedQuery, int64(max))
	if err != nil {
		return nil, err
	}
	var seqs []int64
	var keys []row.EventKey
	var seq int64
	var key row.EventKey
	err = row.Each(rows, []any{&seq, &key.Subject, &key.Version}, func() { seqs, keys = append(seqs, seq), append(keys, key) })
	if err != nil || len(seqs) == 0 {
		return nil, s.read.explain(err)
	}
	known, missing := s.recent.find(seqs)
	read := map[row.EventKey]*job.Event{}
	if len(missing) > 0 {
		if rows, err = s.read.query(ctx, unpublishedEventsQuery, jsonList(missing)); err != nil {
			return nil, err
		}
		others, err := row.Events(rows)
		if err != nil {
			return nil, s.read.explain(err)
		}
		for i := range others {
			read[row.KeyOf(&others[i])] = &others[i]
		}
	}
	events := make([]job.Event, 0, len(seqs))
	found := seqs[:0]
	for i, seq := range seqs {
		switch e := read[keys[i]]; {
		case known[i] != nil:
			events, found = append(events, known[i].Event), append(found, seq)
		case e != nil:
			events, found = append(events, *e), append(found, seq)
		default: // It was published between the two reads.
		}
	}
	s.recent.give(found, events)
	return events, nil
}

// MarkPublished implements events.Store.
func (s *Store) MarkPublished(ctx context.Context, events []job.Event) error {
	if len(events) == 0 {
		return nil
	}
	seqs, others, all := s.recent.seqs(events)
	err := s.write.Do(ctx, &work{Rows: len(events), Do: func(t *tx) error {
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
		list := make([][2]any, len(others)) // rows have no index by event
		for i, k := range others {
			list[i] = [2]any{k.Subject, k.Version}
		}
		_, err := t.exec(publishedListQuery, row.JSONText(list))
		return err
	}})
	s.recent.published(seqs, all && err == nil)
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
