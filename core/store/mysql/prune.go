package mysql

import (
	"context"
	"errors"
	"maps"
	"slices"
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
	// writersFor is how long a writer's row stays that no transaction touched.
	writersFor = 24 * time.Hour
	// pruneBatch is how many jobs, or events of no job, go in one transaction.
	pruneBatch = 100
)

// Something is still to be done about a subject. See also tx.unbundled.
const (
	isJobOpen = `(EXISTS (SELECT 1 FROM unpublished u FORCE INDEX (unpublished_of) WHERE u.subject = j.id)
		OR EXISTS (SELECT 1 FROM untold u FORCE INDEX (untold_of) WHERE u.subject = j.id)
		OR EXISTS (SELECT 1 FROM untold u FORCE INDEX (untold_in) WHERE u.account = '` + job.CallbackAccount + `' AND u.` + "`key`" + ` = j.id))`
	isEventOpen = `(EXISTS (SELECT 1 FROM unpublished u FORCE INDEX (unpublished_of) WHERE u.subject = e.subject)
		OR EXISTS (SELECT 1 FROM untold u FORCE INDEX (untold_of) WHERE u.subject = e.subject))`

	oldJobsQuery = `SELECT j.num FROM jobs j FORCE INDEX (jobs_sweep)
		WHERE j.sweep < 0 AND j.sweep > ? AND NOT ` + isJobOpen + ` ORDER BY j.sweep DESC LIMIT ?`

	// Locked, a job gets no late report while it goes.
	lockOldQuery = `SELECT j.num, j.id FROM jobs j WHERE j.finished_at > 0 AND j.num IN `

	oldMessagesQuery = `SELECT e.subject FROM events e FORCE INDEX (events_alone)
		WHERE e.alone_at < ? AND NOT ` + isEventOpen + ` ORDER BY e.alone_at LIMIT ?`
)

// Prune implements job.Store. It also removes what else is old: messages that
// were told, keys of redelivered messages (not before 48 hours), lines of the
// audit log (not before 90 days), and values that have run out. Each
// transaction is small.
func (s *Store) Prune(ctx context.Context, finishedBefore time.Time, max int) (deleted int, err error) {
	if max <= 0 {
		return 0, nil
	}
	if err := s.pruneAged(ctx, finishedBefore, int64(max)); err != nil {
		return 0, err
	}
	if err := s.pruneMessages(ctx, finishedBefore, int64(max)); err != nil {
		return 0, err
	}
	var nums []int64
	var num int64
	from, err := s.query(ctx, oldJobsQuery, -row.Micros(finishedBefore), int64(max))
	if err != nil {
		return 0, err
	}
	if err := row.Each(from, []any{&num}, func() { nums = append(nums, num) }); err != nil {
		return 0, s.explain(err)
	}
	for batch := range slices.Chunk(nums, pruneBatch) {
		var gone int
		err := s.write(ctx, 8*len(batch), func(t *tx) (err error) {
			gone, err = t.pruneJobs(batch)
			return err
		})
		if err != nil {
			return deleted, err
		}
		deleted += gone
	}
	return deleted, nil
}

// pruneJobs removes jobs with all that is theirs.
func (t *tx) pruneJobs(old []int64) (deleted int, err error) {
	slices.Sort(old)
	from, err := t.query(lockOldQuery+in(len(old))+` AND NOT `+isJobOpen+` ORDER BY j.num`+t.s.forUpdate, anys(old)...)
	if err != nil {
		return 0, err
	}
	var nums, ids []any
	var num int64
	var id string
	found := map[string]int64{}
	if err = row.Each(from, []any{&num, &id}, func() { found[id] = num }); err != nil || len(found) == 0 {
		return 0, err
	}
	subjects, err := t.unbundled(slices.Sorted(maps.Keys(found)))
	if err != nil || len(subjects) == 0 {
		return 0, err
	}
	for _, id := range subjects {
		nums, ids = append(nums, found[id]), append(ids, id)
	}
	for _, d := range []struct {
		from string
		args []any
	}{
		{`message_refs WHERE job`, ids},
		{`dead_letters WHERE subject`, ids},
		{`events WHERE subject`, ids},
		{`output_chunks WHERE job`, nums},
		{`outputs WHERE job`, nums},
		{`jobs WHERE num`, nums},
	} {
		if _, err := t.exec(`DELETE FROM `+d.from+` IN `+in(len(d.args)), d.args...); err != nil {
			return 0, err
		}
	}
	return len(nums), nil
}

// pruneMessages removes events of no job.
func (s *Store) pruneMessages(ctx context.Context, before time.Time, max int64) error {
	var subjects []string
	var subject string
	from, err := s.query(ctx, oldMessagesQuery, row.Micros(before), max)
	if err != nil {
		return err
	}
	if err := row.Each(from, []any{&subject}, func() { subjects = append(subjects, subject) }); err != nil {
		return s.explain(err)
	}
	for batch := range slices.Chunk(subjects, pruneBatch) {
		err := s.write(ctx, 2*len(batch), func(t *tx) error {
			gone, err := t.unbundled(batch)
			if err != nil || len(gone) == 0 {
				return err
			}
			for _, table := range []string{"dead_letters", "events"} {
				if _, err := t.exec(`DELETE FROM `+table+` WHERE version = 0 AND subject IN `+in(len(gone)), anys(gone)...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unbundled returns those of the subjects of which no row of the outbox has an
// event. It reads all of it, which is next to nothing while the queue is there.
func (t *tx) unbundled(subjects []string) (free []string, err error) {
	open := make(map[string]bool, len(subjects))
	for _, s := range subjects {
		open[s] = false
	}
	from, err := t.query(`SELECT seq, events FROM outbox`)
	if err != nil {
		return nil, err
	}
	var seq int64
	var text string
	var failed error
	err = row.Each(from, []any{&seq, &text}, func() {
		lots, err := lotsOf(seq, text)
		if err != nil {
			failed = err
		}
		each(lots, func(k row.EventKey) {
			if _, asked := open[k.Subject]; asked {
				open[k.Subject] = true
			}
		})
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(subjects), func(s string) bool { return open[s] }), nil
}

// pruneAged removes what goes by age alone. Mostly there is none, and nothing
// is written.
func (s *Store) pruneAged(ctx context.Context, before time.Time, max int64) error {
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		of, order string
		than      time.Time
		max       int64
	}{
		{`dedupe WHERE created_at < ?`, `created_at`, earlier(before, now.Add(-dedupeAtLeast)), 4 * max},
		{`audit WHERE at < ?`, `at`, earlier(before, now.Add(-auditAtLeast)), max},
		{`kv WHERE expires_at > 0 AND expires_at <= ?`, `expires_at`, now, max},
		{`conversations WHERE first = 0 AND parked_until < ?`, `parked_until`, now, max},
	} {
		var one int64
		found, err := s.row(ctx, `SELECT 1 FROM `+p.of+` LIMIT 1`, []any{row.Micros(p.than)}, &one)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		err = s.write(ctx, int(min(p.max, maxBatch)), func(t *tx) error {
			_, err := t.exec(`DELETE FROM `+p.of+` ORDER BY `+p.order+` LIMIT ?`, row.Micros(p.than), p.max)
			return err
		})
		if err != nil {
			return err
		}
	}
	return s.pruneWriters(ctx, now.Add(-writersFor), max)
}

// pruneWriters removes the rows of writers that are gone, by name: the row next
// to them in the index by age is locked by its writer at almost any time.
func (s *Store) pruneWriters(ctx context.Context, before time.Time, max int64) error {
	from, err := s.query(ctx, `SELECT id FROM writers WHERE at < ? LIMIT ?`, row.Micros(before), max)
	if err != nil {
		return err
	}
	var ids []any
	var id string
	if err := row.Each(from, []any{&id}, func() { ids = append(ids, id) }); err != nil || len(ids) == 0 {
		return s.explain(err)
	}
	return s.write(ctx, len(ids), func(t *tx) error {
		_, err := t.exec(`DELETE FROM writers WHERE at < ? AND id IN `+in(len(ids)), append([]any{row.Micros(before)}, ids...)...)
		return err
	})
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
