package sqlite

import (
	"context"
	"fmt"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// The conditions of the partial indexes stand in each query word for word, so
// that SQLite sees that the index serves it.
const (
	isQueuing = `j.status = 'queuing' AND j.approval <> 'waiting'`
	isWaiting = `j.finished_at = 0 AND j.approval = 'waiting'`
	isLive    = `j.finished_at = 0`

	isCanceling = `j.finished_at = 0 AND j.cancel_requested_at > 0 AND j.status = 'sent'`

	fromClaimable = ` FROM jobs j INDEXED BY jobs_queuing WHERE j.space = ? AND j.agent = ? AND ` + isQueuing + `
		AND j.offered_until <= ? AND EXISTS (SELECT 1 FROM agents a INDEXED BY agents_name
			WHERE a.space = j.space AND a.name = j.agent AND a.removed_at = 0 AND a.paused_at = 0)
		ORDER BY j.num LIMIT ?`

	fromDue = ` FROM jobs j INDEXED BY jobs_live WHERE ` + isLive + ` AND j.due_at > 0 AND j.due_at <= ?
		ORDER BY j.due_at LIMIT ?`

	// queues are the agents that have a queuing job, found by leaping from
	// one to the next in the index: their number counts, not that of jobs.
	withQueues = `WITH RECURSIVE queues (num) AS (
			SELECT * FROM (SELECT j.num FROM jobs j INDEXED BY jobs_queuing WHERE ` + isQueuing + `
				ORDER BY j.space, j.agent LIMIT 1)
			UNION ALL
			SELECT coalesce(
				(SELECT j.num FROM jobs j INDEXED BY jobs_queuing WHERE ` + isQueuing + `
					AND j.space = q.space AND j.agent > q.agent ORDER BY j.agent LIMIT 1),
				(SELECT j.num FROM jobs j INDEXED BY jobs_queuing WHERE ` + isQueuing + `
					AND j.space > q.space ORDER BY j.space, j.agent LIMIT 1))
			FROM queues JOIN jobs q ON q.num = queues.num
		)`

	// An agent seen in the far future was seen before the clock was set back,
	// which says nothing of today.
	fromSilent = ` FROM queues JOIN jobs q ON q.num = queues.num
			JOIN jobs j INDEXED BY jobs_queuing ON j.space = q.space AND j.agent = q.agent AND ` + isQueuing + `
		WHERE NOT EXISTS (SELECT 1 FROM agents a INDEXED BY agents_name WHERE a.space = q.space AND a.name = q.agent
			AND a.removed_at = 0 AND a.last_seen_at > ? AND a.last_seen_at < ?)
		LIMIT ?`
)

// selectQueries are the two queries of a selection: whether there is any, and
// which.
type selectQueries struct{ any, which *query }

func newSelect(with, from string) selectQueries {
	return selectQueries{
		any:   newQuery(with + ` SELECT 1` + from),
		which: newQuery(with + ` SELECT j.space, j.id` + from),
	}
}

var (
	claimableQueries = newSelect("", fromClaimable)
	dueQueries       = newSelect("", fromDue)
	silentQueries    = newSelect(withQueues, fromSilent)

	// Those that wait for approval are few and lie in an index of their own.
	fromQueuingOf = ` FROM jobs j WHERE j.num IN (
			SELECT j.num FROM jobs j INDEXED BY jobs_queuing WHERE j.space = ?1 AND j.agent = ?2 AND ` + isQueuing + `
			UNION ALL
			SELECT j.num FROM jobs j INDEXED BY jobs_waiting WHERE j.space = ?1 AND j.agent = ?2 AND ` + isWaiting + `
		) ORDER BY j.num LIMIT ?3`
	queuingOfQueries = newSelect("", fromQueuingOf)
)

// selectArgs returns a selection's queries and their arguments but the limit.
func (s *Store) selectArgs(sel job.Selection) (q selectQueries, args []any, err error) {
	now := s.now()
	switch sel.Kind {
	case job.SelectClaimable:
		return claimableQueries, []any{sel.Space, sel.Agent, row.Micros(now)}, nil
	case job.SelectDue:
		return dueQueries, []any{row.Micros(now)}, nil
	case job.SelectSilent:
		return silentQueries, []any{row.Micros(now.Add(-sel.SilentFor)), row.Micros(now.Add(sel.SilentFor))}, nil
	case job.SelectQueuingOf:
		return queuingOfQueries, []any{sel.Space, sel.Agent}, nil
	case job.SelectByID:
	}
	return q, nil, fmt.Errorf("there is no selection of kind %d", sel.Kind)
}

// anySelected reports whether there is anything to select, without waiting
// for the writer.
func (s *Store) anySelected(ctx context.Context, sel job.Selection) (bool, error) {
	q, args, err := s.selectArgs(sel)
	if err != nil {
		return false, err
	}
	var one int64
	return s.read.row(ctx, q.any, append(args, int64(1)), &one)
}

// selected returns the jobs of a selection, other than by ID.
func (t *tx) selected(sel job.Selection) ([]*job.Job, error) {
	q, args, err := t.w.store.selectArgs(sel)
	if err != nil {
		return nil, refuse(err)
	}
	rows, err := t.query(q.which, append(args, int64(sel.Max))...)
	if err != nil {
		return nil, err
	}
	var key jobKey
	keys := make([]jobKey, 0, min(sel.Max, 128))
	if err := row.Each(rows, []any{&key.space, &key.id}, func() { keys = append(keys, key) }); err != nil {
		return nil, err
	}
	if err := t.load(keys); err != nil {
		return nil, err
	}
	jobs := make([]*job.Job, len(keys))
	for i, k := range keys {
		jobs[i] = t.loaded[k]
	}
	return jobs, nil
}
