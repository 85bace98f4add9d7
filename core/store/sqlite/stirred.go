package sqlite

import (
	"context"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

var (
	// Of the agents that have a queuing job, those that may take one: whose
	// jobs are all on offer have none.
	stirredQuery = newQuery(withQueues + `
		SELECT q.space, q.agent FROM queues JOIN jobs q ON q.num = queues.num
		WHERE EXISTS (SELECT 1 FROM agents a INDEXED BY agents_name
				WHERE a.space = q.space AND a.name = q.agent AND a.removed_at = 0 AND a.paused_at = 0)
			AND EXISTS (SELECT 1 FROM jobs j INDEXED BY jobs_queuing
				WHERE j.space = q.space AND j.agent = q.agent AND ` + isQueuing + ` AND j.offered_until <= ?1)
		UNION
		SELECT j.space, j.agent FROM jobs j INDEXED BY jobs_canceling
		WHERE ` + isCanceling + ` AND EXISTS (SELECT 1 FROM agents a INDEXED BY agents_name
				WHERE a.space = j.space AND a.name = j.agent AND a.removed_at = 0 AND j.sent_at >= a.created_at)
		ORDER BY 1, 2 LIMIT ?2`)

	marksQuery = newQuery(`SELECT j.id, j.version, coalesce(o.last_seq, 0)
		FROM json_each(?) AS wanted
		CROSS JOIN jobs j INDEXED BY jobs_id ON j.id = wanted.value
		LEFT JOIN outputs o ON o.job = j.num`)
)

// Stirred implements job.Store.
func (s *Store) Stirred(ctx context.Context, max int) (refs []job.AgentRef, err error) {
	rows, err := s.read.query(ctx, stirredQuery, row.Micros(s.now()), int64(max)) //nolint:rowserrcheck // row.Each does
	if err != nil {
		return nil, err
	}
	var ref job.AgentRef
	err = row.Each(rows, []any{&ref.Space, &ref.Name}, func() { refs = append(refs, ref) })
	return refs, s.read.explain(err)
}

// Marks implements job.Store.
func (s *Store) Marks(ctx context.Context, ids []string) (marks []job.Mark, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.read.query(ctx, marksQuery, jsonList(ids)) //nolint:rowserrcheck // row.Each does
	if err != nil {
		return nil, err
	}
	var m job.Mark
	err = row.Each(rows, []any{&m.ID, &m.Version, &m.OutputSeq}, func() { marks = append(marks, m) })
	return marks, s.read.explain(err)
}
