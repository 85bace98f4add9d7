package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// Those never parked, and those whose time has come, each by the index.
const openConversations = `SELECT account, key, part, tries FROM (
		SELECT * FROM (SELECT account, key, part, tries, first FROM conversations INDEXED BY conversations_open
			WHERE first > 0 AND parked_until = 0 %[1]s ORDER BY first LIMIT ?2)
		UNION ALL
		SELECT * FROM (SELECT account, key, part, tries, first FROM conversations INDEXED BY conversations_open
			WHERE first > 0 AND parked_until > 0 AND parked_until <= ?1 %[1]s ORDER BY parked_until LIMIT ?2)
	) ORDER BY first LIMIT ?2`

var (
	openConversationsQuery = newQuery(fmt.Sprintf(openConversations, ""))

	openConversationsInQuery = newQuery(fmt.Sprintf(openConversations,
		`AND part IN (SELECT value FROM json_each(?3))`))

	openEventsQuery = newQuery(`SELECT ` + row.EventColumns + ` FROM untold u
		JOIN events e ON e.subject = u.subject AND e.version = u.version` + row.JoinJob + `
		WHERE u.account = ? AND u.key = ? ORDER BY u.seq LIMIT ?`)

	toldQuery = newQuery(`DELETE FROM untold WHERE account = ? AND key = ? AND subject = ? AND version = ?`)

	deadQuery = newQuery(`INSERT INTO dead_letters (space, subject, version, at, reason)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)

	undeliveredQuery = newQuery(`INSERT INTO dead_letters (space, subject, version, at, reason)
		SELECT space, subject, version, ?, ? FROM events WHERE space = ? AND subject = ? AND version = ? ON CONFLICT DO NOTHING`)

	settledQuery = newQuery(`UPDATE conversations SET parked_until = 0, tries = 0, reason = '',
			first = coalesce((SELECT min(seq) FROM untold u WHERE u.account = ?1 AND u.key = ?2), 0)
		WHERE account = ?1 AND key = ?2`)

	emptiedQuery = newQuery(`DELETE FROM conversations WHERE account = ? AND key = ? AND first = 0`)

	parkQuery = newQuery(`INSERT INTO conversations (account, key, part, first, parked_until, tries, reason)
		VALUES (?, ?, ?, 0, ?, ?, ?) ON CONFLICT DO UPDATE
		SET parked_until = excluded.parked_until, tries = excluded.tries, reason = excluded.reason`)

	showQuery = newQuery(`INSERT INTO message_refs (job, ref) SELECT id, ? FROM jobs WHERE id = ?
		ON CONFLICT DO UPDATE SET ref = excluded.ref`)

	messageRefQuery = newQuery(`SELECT ref FROM message_refs WHERE job = ?`)

	shownQuery = newQuery(`SELECT j.space, j.id, j.conversation FROM jobs j INDEXED BY jobs_live
		WHERE ` + isLive + ` AND j.status = 'sent' AND EXISTS (SELECT 1 FROM message_refs r WHERE r.job = j.id)`)

	deadLettersQuery = newQuery(`SELECT ` + row.EventColumns + `, d.at, d.reason FROM dead_letters d
		JOIN events e ON e.subject = d.subject AND e.version = d.version` + row.JoinJob + `
		WHERE d.space = ? ORDER BY d.id DESC LIMIT ?`)
)

// OpenConversations implements events.Store.
func (s *Store) OpenConversations(ctx context.Context, partitions []int, max int) (open []events.Conversation, err error) {
	query, args := openConversationsQuery, []any{row.Micros(s.now()), int64(max)}
	if partitions != nil {
		query, args = openConversationsInQuery, append(args, jsonList(partitions))
	}
	rows, err := s.read.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.read.explain(rows.Close())) }()
	for rows.Next() {
		var c events.Conversation
		if err := rows.Scan(&c.Account, &c.Key, &c.Partition, &c.Tries); err != nil {
			return nil, s.read.explain(err)
		}
		open = append(open, c)
	}
	return open, s.read.explain(rows.Err())
}

// Open implements events.Store.
func (s *Store) Open(ctx context.Context, c events.Conversation, max int) ([]job.Event, error) {
	rows, err := s.read.query(ctx, openEventsQuery, c.Account, c.Key, int64(max))
	if err != nil {
		return nil, err
	}
	open, err := row.Events(rows)
	return open, s.read.explain(err)
}

// Record implements events.Store.
func (s *Store) Record(ctx context.Context, d events.Delivery) error {
	var ref strings.Builder
	if d.JobID != "" && d.Ref != nil {
		if err := row.PlainJSON(&ref, d.Ref); err != nil {
			return fmt.Errorf("the reference of the message that shows job %s cannot be stored: %w", d.JobID, err)
		}
	}
	c := d.Conversation
	d.Events = slices.Clone(d.Events) // the caller may leave before it is done
	return s.write.Do(ctx, &work{Rows: 2 + 2*len(d.Events), Do: func(t *tx) error {
		if err := t.guarded(d.Guard); err != nil {
			return err
		}
		for i := range d.Events {
			e := &d.Events[i]
			n, err := t.exec(toldQuery, c.Account, c.Key, e.Subject, e.Version)
			if err != nil {
				return err
			}
			if d.Dead == "" || n == 0 {
				continue
			}
			if _, err := t.exec(deadQuery, e.Space, e.Subject, e.Version, row.Micros(s.now()), d.Dead); err != nil {
				return err
			}
		}
		if ref.Len() > 0 {
			if _, err := t.exec(showQuery, ref.String(), d.JobID); err != nil {
				return err
			}
		}
		if _, err := t.exec(settledQuery, c.Account, c.Key); err != nil {
			return err
		}
		_, err := t.exec(emptiedQuery, c.Account, c.Key)
		return err
	}})
}

// Undelivered implements store.Store.
func (s *Store) Undelivered(ctx context.Context, space, subject string, version int64, why string) error {
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		_, err := t.exec(undeliveredQuery, row.Micros(s.now()), why, space, subject, version)
		return err
	}})
}

// Park implements events.Store.
func (s *Store) Park(ctx context.Context, c events.Conversation, until time.Time, tries int, reason string, guard events.Guard) error {
	part := int64(events.PartitionOf(c.Account, c.Key, s.partitions))
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		if err := t.guarded(guard); err != nil {
			return err
		}
		_, err := t.exec(parkQuery, c.Account, c.Key, part, row.Micros(until), int64(tries), reason)
		return err
	}})
}

// MessageRef implements events.Store.
func (s *Store) MessageRef(ctx context.Context, jobID string) (ref chat.MessageRef, ok bool, err error) {
	var text string
	if ok, err = s.read.row(ctx, messageRefQuery, []any{jobID}, &text); err != nil || !ok {
		return ref, false, err
	}
	if err := json.Unmarshal([]byte(text), &ref); err != nil {
		return ref, false, fmt.Errorf("read which message shows job %s: %w", jobID, err)
	}
	return ref, true, nil
}

// Shown implements events.Store.
func (s *Store) Shown(ctx context.Context, partitions []int, max int) (shown []events.ShownJob, err error) {
	rows, err := s.read.query(ctx, shownQuery)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.read.explain(rows.Close())) }()
	for len(shown) < max && rows.Next() {
		var j events.ShownJob
		var where string
		if err := rows.Scan(&j.Space, &j.ID, &where); err != nil {
			return nil, s.read.explain(err)
		}
		c, err := row.Conversation(where)
		if err != nil {
			return nil, fmt.Errorf("read where job %s is shown: %w", j.ID, err)
		}
		if c == nil || partitions != nil && !slices.Contains(partitions, events.PartitionOf(c.Account, c.Key, s.partitions)) {
			continue
		}
		shown = append(shown, j)
	}
	return shown, s.read.explain(rows.Err())
}

// DeadLetters implements events.Store.
func (s *Store) DeadLetters(ctx context.Context, space string, max int) (dead []events.DeadLetter, err error) {
	rows, err := s.read.query(ctx, deadLettersQuery, space, int64(max))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.read.explain(rows.Close())) }()
	var r row.Event
	for rows.Next() {
		var d events.DeadLetter
		var at int64
		if err := rows.Scan(append(r.Dest(), &at, &d.Reason)...); err != nil {
			return nil, s.read.explain(err)
		}
		d.At = row.Time(at)
		if d.Event, err = r.Read(); err != nil {
			return nil, err
		}
		dead = append(dead, d)
	}
	return dead, s.read.explain(rows.Err())
}
