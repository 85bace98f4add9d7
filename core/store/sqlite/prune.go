package sqlite

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

const (
	// dedupeAtLeast is how long the key of a message is remembered, whatever
	// the retention: longer than any channel redelivers.
	dedupeAtLeast = 48 * time.Hour
	// auditAtLeast is how long a line of the audit log is kept.
	auditAtLeast = 90 * 24 * time.Hour
	// maxBehind is how many events the queue may lack for old jobs to be
	// removed. With more, removing waits: it would have to look through them.
	maxBehind = 1000
)

var (
	behindQuery = newQuery(`SELECT count(*) FROM (SELECT 1 FROM unpublished LIMIT ?)`)

	oldJobsQuery = newQuery(`SELECT j.num, j.id FROM jobs j INDEXED BY jobs_finished
		WHERE j.finished_at > 0 AND j.finished_at < ?
			AND j.id NOT IN (SELECT subject FROM unpublished)
			AND NOT EXISTS (SELECT 1 FROM untold u WHERE u.subject = j.id)
			AND NOT EXISTS (SELECT 1 FROM untold u WHERE u.account = '` + job.CallbackAccount + `' AND u.key = j.id)
		ORDER BY j.finished_at LIMIT ?`)

	oldMessagesQuery = newQuery(`SELECT e.subject FROM events e INDEXED BY events_alone
		WHERE e.version = 0 AND e.at < ?
			AND e.subject NOT IN (SELECT subject FROM unpublished)
			AND NOT EXISTS (SELECT 1 FROM untold u WHERE u.subject = e.subject)
		ORDER BY e.at LIMIT ?`)

	pruneByNum = []*query{
		newQuery(`DELETE FROM output_chunks WHERE job IN (SELECT value FROM json_each(?))`),
		newQuery(`DELETE FROM outputs WHERE job IN (SELECT value FROM json_each(?))`),
	}
	pruneByID = []*query{
		newQuery(`DELETE FROM message_refs WHERE job IN (SELECT value FROM json_each(?))`),
		newQuery(`DELETE FROM dead_letters WHERE subject IN (SELECT value FROM json_each(?))`),
		newQuery(`DELETE FROM events WHERE subject IN (SELECT value FROM json_each(?))`),
	}
	pruneJobsQuery = newQuery(`DELETE FROM jobs WHERE num IN (SELECT value FROM json_each(?))`)

	pruneDedupeQuery = newQuery(`DELETE FROM dedupe WHERE (space, scope, key) IN
		(SELECT space, scope, key FROM dedupe INDEXED BY dedupe_age WHERE created_at < ? ORDER BY created_at LIMIT ?)`)

	pruneAuditQuery = newQuery(`DELETE FROM audit WHERE num IN
		(SELECT num FROM audit INDEXED BY audit_age WHERE at < ? ORDER BY at LIMIT ?)`)

	pruneKVQuery = newQuery(`DELETE FROM kv WHERE (prefix, key) IN
		(SELECT prefix, key FROM kv INDEXED BY kv_expiry WHERE expires_at > 0 AND expires_at <= ?
			ORDER BY expires_at LIMIT ?)`)

	pruneParkedQuery = newQuery(`DELETE FROM conversations WHERE first = 0 AND parked_until < ?`)
)

// Prune implements job.Store. It also removes what else is old: messages that
// were told, keys of redelivered messages (not before 48 hours), lines of the
// audit log (not before 90 days), and values that have run out.
func (s *Store) Prune(ctx context.Context, finishedBefore time.Time, max int) (int, error) {
	if max <= 0 {
		return 0, nil
	}
	var deleted int // the writer's until it is done, also if ctx ends before
	err := s.write.Do(ctx, &work{Rows: 8 * max, Do: func(t *tx) error {
		var err error
		deleted, err = t.prune(finishedBefore, int64(max))
		return err
	}})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

func (t *tx) prune(before time.Time, max int64) (deleted int, err error) {
	if err := t.pruneAged(before, max); err != nil {
		return 0, err
	}
	var behind int64
	if _, err := t.row(behindQuery, []any{int64(maxBehind)}, &behind); err != nil || behind == maxBehind {
		return 0, err
	}
	var nums []int64
	var ids []string
	rows, err := t.query(oldJobsQuery, row.Micros(before), max)
	if err != nil {
		return 0, err
	}
	var num int64
	var id string
	if err := row.Each(rows, []any{&num, &id}, func() {
		nums, ids = append(nums, num), append(ids, id)
	}); err != nil {
		return 0, err
	}
	if rows, err = t.query(oldMessagesQuery, row.Micros(before), max); err != nil {
		return 0, err
	}
	if err := row.Each(rows, []any{&id}, func() { ids = append(ids, id) }); err != nil {
		return 0, err
	}
	if len(ids) == 0 {
		return 0, nil
	}
	for _, q := range pruneByID {
		if _, err := t.exec(q, jsonList(ids)); err != nil {
			return 0, err
		}
	}
	if len(nums) == 0 {
		return 0, nil
	}
	for _, q := range append(pruneByNum, pruneJobsQuery) {
		if _, err := t.exec(q, jsonList(nums)); err != nil {
			return 0, err
		}
	}
	return len(nums), nil
}

// pruneAged removes what goes by age alone.
func (t *tx) pruneAged(before time.Time, max int64) error {
	now := t.w.store.now()
	for _, p := range []struct {
		query *query
		args  []any
	}{
		{pruneDedupeQuery, []any{row.Micros(earlier(before, now.Add(-dedupeAtLeast))), 4 * max}},
		{pruneAuditQuery, []any{row.Micros(earlier(before, now.Add(-auditAtLeast))), max}},
		{pruneKVQuery, []any{row.Micros(now), max}},
		{pruneParkedQuery, []any{row.Micros(now)}},
	} {
		if _, err := t.exec(p.query, p.args...); err != nil {
			return err
		}
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
