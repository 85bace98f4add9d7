package mysql

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

const (
	// As for unpublishedQuery, an event waits for an older one of its subject.
	openEventsQuery = `SELECT ` + row.EventColumns + ` FROM (
			SELECT u.seq, u.subject, u.version FROM untold u FORCE INDEX (untold_in)
			WHERE u.account = ? AND u.` + "`key`" + ` = ?
				AND NOT EXISTS (SELECT 1 FROM untold l FORCE INDEX (untold_of)
					WHERE l.subject = u.subject AND l.version < u.version AND l.seq > u.seq
						AND l.account = u.account AND l.` + "`key`" + ` = u.` + "`key`" + `)
			ORDER BY u.seq LIMIT ?
		) u JOIN events e ON e.subject = u.subject AND e.version = u.version` + row.JoinJob + ` ORDER BY u.seq`

	isConversation = "account = ? AND `key` = ?"

	parkQuery = "INSERT INTO conversations (account, `key`, part, first, parked_until, tries, reason)" + `
		VALUES (?, ?, ?, 0, ?, ?, ?) ON DUPLICATE KEY UPDATE
		parked_until = VALUES(parked_until), tries = VALUES(tries), reason = VALUES(reason)`

	deadQuery = `INSERT INTO dead_letters (space, subject, version, at, reason) VALUES (?, ?, ?, ?, ?)
		ON DUPLICATE KEY UPDATE id = id`

	undeliveredQuery = `INSERT INTO dead_letters (space, subject, version, at, reason)
		SELECT space, subject, version, ?, ? FROM events WHERE space = ? AND subject = ? AND version = ?
		ON DUPLICATE KEY UPDATE dead_letters.id = dead_letters.id`

	showQuery = `INSERT INTO message_refs (job, ref) SELECT id, ? FROM jobs WHERE id = ?
		ON DUPLICATE KEY UPDATE ref = VALUES(ref)`

	shownQuery = `SELECT j.space, j.id, j.conversation FROM jobs j FORCE INDEX (jobs_of_agent)
		JOIN message_refs r ON r.job = j.id WHERE j.stage IN (` + stageSent + `, ` + stageCanceling + `)`

	deadLettersQuery = `SELECT ` + row.EventColumns + `, d.at, d.reason FROM dead_letters d FORCE INDEX (dead_letters_in)
		JOIN events e ON e.subject = d.subject AND e.version = d.version` + row.JoinJob + `
		WHERE d.space = ? ORDER BY d.at DESC, d.id DESC LIMIT ?`
)

// openConversationsQuery finds, by the index, of each partition those never
// parked and those whose time has come.
func (s *Store) openConversationsQuery(partitions []int, max int) (text string, args []any) {
	var b strings.Builder
	now := s.nowText()
	add := func(partition int, parked, order string) {
		if b.Len() > 0 {
			b.WriteString(` UNION ALL `)
		}
		fmt.Fprintf(&b, "SELECT * FROM (SELECT account, `key`, part, tries, first"+` FROM conversations FORCE INDEX (conversations_open)
			WHERE part = %d AND %s AND first > 0 ORDER BY %s LIMIT ?) c%d`, partition, parked, order, len(args))
		args = append(args, int64(max))
	}
	for _, p := range partitions {
		add(p, `parked_until = 0`, `first`)
		add(p, `parked_until > 0 AND parked_until <= `+now, `parked_until`)
	}
	return b.String() + ` ORDER BY first LIMIT ?`, append(args, int64(max))
}

// OpenConversations implements events.Store.
func (s *Store) OpenConversations(ctx context.Context, partitions []int, max int) (open []events.Conversation, err error) {
	if partitions == nil {
		for p := range s.partitions {
			partitions = append(partitions, p)
		}
	}
	if len(partitions) == 0 {
		return nil, nil
	}
	text, args := s.openConversationsQuery(partitions, max)
	from, err := s.query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	var c events.Conversation
	var first int64
	err = row.Each(from, []any{&c.Account, &c.Key, &c.Partition, &c.Tries, &first}, func() { open = append(open, c) })
	return open, s.explain(err)
}

// Open implements events.Store.
func (s *Store) Open(ctx context.Context, c events.Conversation, max int) ([]job.Event, error) {
	return s.events(ctx, openEventsQuery, c.Account, keyText(c.Key), int64(max))
}

// Record implements events.Store.
func (s *Store) Record(ctx context.Context, d events.Delivery) error {
	var ref strings.Builder
	if d.JobID != "" && d.Ref != nil {
		if err := row.PlainJSON(&ref, d.Ref); err != nil {
			return fmt.Errorf("the reference of the message that shows job %s cannot be stored: %w", d.JobID, err)
		}
	}
	d.Conversation.Key = keyText(d.Conversation.Key)
	d.Events = slices.Clone(d.Events) // the caller may leave before it is done
	return s.write(ctx, 4+2*len(d.Events), func(t *tx) error {
		if err := t.guarded(d.Guard); err != nil {
			return err
		}
		if err := t.told(&d); err != nil {
			return err
		}
		if ref.Len() > 0 {
			if _, err := t.exec(showQuery, strings.ToValidUTF8(ref.String(), "\uFFFD"), d.JobID); err != nil {
				return err
			}
		}
		return nil
	})
}

// Undelivered implements store.Store.
func (s *Store) Undelivered(ctx context.Context, space, subject string, version int64, why string) error {
	return s.write(ctx, 1, func(t *tx) error {
		_, err := t.exec(undeliveredQuery, row.Micros(t.now), shortText(why), space, subject, version)
		return err
	})
}

// told takes the delivery's events from what is open. The conversation's row
// is locked first, as by everybody who opens it: what somebody adds is then
// seen here, or added after.
func (t *tx) told(d *events.Delivery) error {
	c := []any{d.Conversation.Account, d.Conversation.Key}
	var first int64
	if _, err := t.row(`SELECT first FROM conversations WHERE `+isConversation+` FOR UPDATE`, c, &first); err != nil {
		return err
	}
	for i := range d.Events {
		e := &d.Events[i]
		n, err := t.exec(`DELETE FROM untold WHERE subject = ? AND version = ? AND `+isConversation,
			append([]any{e.Subject, e.Version}, c...)...)
		if err != nil {
			return err
		}
		if d.Dead == "" || n == 0 {
			continue
		}
		if _, err := t.exec(deadQuery, e.Space, e.Subject, e.Version, row.Micros(t.now), shortText(d.Dead)); err != nil {
			return err
		}
	}
	if _, err := t.row(`SELECT COALESCE(MIN(seq), 0) FROM untold WHERE `+isConversation, c, &first); err != nil {
		return err
	}
	if first == 0 {
		_, err := t.exec(`DELETE FROM conversations WHERE `+isConversation, c...)
		return err
	}
	_, err := t.exec(`UPDATE conversations SET first = ?, parked_until = 0, tries = 0, reason = '' WHERE `+isConversation,
		append([]any{first}, c...)...)
	return err
}

// guarded refuses a write whose lease is not held any more. It stands before
// everything that the write does, and nobody takes the lease over until the
// transaction has ended.
func (t *tx) guarded(g events.Guard) error {
	if g == (events.Guard{}) {
		return nil
	}
	var holder string
	var epoch, until int64
	// MySQL has FOR SHARE too, and MariaDB this alone.
	found, err := t.row("SELECT holder, epoch, `until` FROM leases WHERE name = ? LOCK IN SHARE MODE",
		[]any{g.Lease}, &holder, &epoch, &until)
	if err != nil {
		return err
	}
	if !found || epoch != g.Epoch || holder == "" || until <= row.Micros(t.now) {
		return refuse(fmt.Errorf("%w: the lease %s is not held with epoch %d", events.ErrNotHolder, g.Lease, g.Epoch))
	}
	return nil
}

// Park implements events.Store.
func (s *Store) Park(ctx context.Context, c events.Conversation, until time.Time, tries int, reason string, guard events.Guard) error {
	part := int64(events.PartitionOf(c.Account, c.Key, s.partitions))
	return s.write(ctx, 2, func(t *tx) error {
		if err := t.guarded(guard); err != nil {
			return err
		}
		_, err := t.exec(parkQuery, c.Account, keyText(c.Key), part, row.Micros(until), int64(tries), shortText(reason))
		return err
	})
}

// MessageRef implements events.Store.
func (s *Store) MessageRef(ctx context.Context, jobID string) (ref chat.MessageRef, ok bool, err error) {
	var text string
	if ok, err = s.row(ctx, `SELECT ref FROM message_refs WHERE job = ?`, []any{jobID}, &text); err != nil || !ok {
		return ref, false, err
	}
	if err := json.Unmarshal([]byte(text), &ref); err != nil {
		return ref, false, fmt.Errorf("read which message shows job %s: %w", jobID, err)
	}
	return ref, true, nil
}

// Shown implements events.Store.
func (s *Store) Shown(ctx context.Context, partitions []int, max int) (shown []events.ShownJob, err error) {
	text, args := shownQuery, []any(nil)
	if partitions == nil { // else it is seen only here whose a job is
		text, args = text+` LIMIT ?`, []any{int64(max)}
	}
	from, err := s.query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.explain(from.Close())) }()
	for len(shown) < max && from.Next() {
		var j events.ShownJob
		var where string
		if err := from.Scan(&j.Space, &j.ID, &where); err != nil {
			return nil, s.explain(err)
		}
		if partitions != nil {
			c, err := row.Conversation(where)
			if err != nil {
				return nil, fmt.Errorf("job %s: %w", j.ID, err)
			}
			if c == nil || !slices.Contains(partitions, events.PartitionOf(c.Account, c.Key, s.partitions)) {
				continue
			}
		}
		shown = append(shown, j)
	}
	return shown, s.explain(from.Err())
}

// DeadLetters implements events.Store.
func (s *Store) DeadLetters(ctx context.Context, space string, max int) (dead []events.DeadLetter, err error) {
	from, err := s.query(ctx, deadLettersQuery, space, int64(max))
	if err != nil {
		return nil, err
	}
	var r row.Event
	var at int64
	var reason string
	var failed error
	err = row.Each(from, append(r.Dest(), &at, &reason), func() {
		e, err := r.Read()
		if err != nil {
			failed = err
		}
		dead = append(dead, events.DeadLetter{Event: e, Reason: reason, At: row.Time(at)})
	})
	return dead, errors.Join(s.explain(err), failed)
}
