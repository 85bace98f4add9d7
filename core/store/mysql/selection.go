package mysql

import (
	"context"
	"fmt"
	"slices"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// selectOp is an updateOp of jobs that the database selects.
type selectOp struct{ updateOp }

// Apply is never called for claims, which tx.selectAll merges.
func (o *selectOp) Apply(t *tx) error {
	jobs, err := t.selected(o.sel)
	if err != nil {
		return err
	}
	return o.decideAll(t, jobs)
}

func (o *selectOp) decideAll(t *tx, jobs []*held) (err error) {
	o.updated = make([]job.Updated, len(jobs))
	for i := range jobs {
		if o.updated[i], err = t.decide(jobs[i], o.sel.WithAgent, o.decide); err != nil {
			return err
		}
	}
	return nil
}

// What follows SELECT in the queries that select jobs. now is the time as it
// stands in a statement.

func fromClaimable(now string) string {
	return ` FROM jobs j FORCE INDEX (jobs_of_agent)
		WHERE j.stage = ` + stageQueuing + ` AND j.space = ? AND j.agent = ? AND j.offered_until <= ` + now
}

func fromDue(now string) string {
	return ` FROM jobs j FORCE INDEX (jobs_sweep) WHERE j.sweep > 0 AND j.sweep <= ` + now + ` ORDER BY j.sweep LIMIT ?`
}

// The agents that have a queuing job are found by leaping from one to the next
// in the index. An agent seen in the far future was seen before the clock was
// set back, which says nothing of today.
func fromSilent(now string) string {
	return ` FROM (
			SELECT space, agent FROM jobs FORCE INDEX (jobs_of_agent) WHERE stage = ` + stageQueuing + ` GROUP BY space, agent
		) q STRAIGHT_JOIN jobs j FORCE INDEX (jobs_of_agent)
			ON j.stage = ` + stageQueuing + ` AND j.space = q.space AND j.agent = q.agent
		WHERE NOT EXISTS (SELECT 1 FROM agents a FORCE INDEX (agents_name) WHERE a.space = q.space AND a.live_name = q.agent
			AND a.last_seen_at > ` + now + ` - ? AND a.last_seen_at < ` + now + ` + ?)
		LIMIT ?`
}

const fromQueuingOf = ` FROM jobs j FORCE INDEX (jobs_of_agent)
	WHERE j.stage IN (` + stageQueuing + `, ` + stageWaiting + `) AND j.space = ? AND j.agent = ? ORDER BY j.num LIMIT ?`

// anySelected reports whether there is anything to select, without waiting
// for a writer.
func (s *Store) anySelected(ctx context.Context, sel job.Selection) (bool, error) {
	var one int64
	if sel.Kind == job.SelectClaimable {
		return s.row(ctx, `SELECT 1`+fromClaimable(s.nowText())+` AND EXISTS (SELECT 1 FROM agents a FORCE INDEX (agents_name)
				WHERE a.space = j.space AND a.live_name = j.agent AND a.paused_at = 0) LIMIT 1`,
			[]any{sel.Space, sel.Agent}, &one)
	}
	from, args, err := selection(sel, s.nowText())
	if err != nil {
		return false, err
	}
	return s.row(ctx, `SELECT 1`+from, append(args, int64(1)), &one)
}

// selection returns a selection's query without what it selects, and its
// arguments without the limit.
func selection(sel job.Selection, now string) (from string, args []any, err error) {
	switch sel.Kind {
	case job.SelectDue:
		return fromDue(now), nil, nil
	case job.SelectSilent:
		silent := sel.SilentFor.Microseconds()
		return fromSilent(now), []any{silent, silent}, nil
	case job.SelectQueuingOf:
		return fromQueuingOf, []any{sel.Space, sel.Agent}, nil
	case job.SelectByID, job.SelectClaimable:
	}
	return "", nil, fmt.Errorf("there is no selection of kind %d", sel.Kind)
}

// selectAll does the work of members that select jobs. Claims for one agent
// are one query, whose jobs are shared out.
func (t *tx) selectAll(members []*member) error {
	var order []agentKey
	claims := map[agentKey][]*selectOp{}
	for _, m := range members {
		o := m.Op.(*selectOp) //nolint:errcheck // apply has looked
		if o.sel.Kind != job.SelectClaimable {
			if err := t.work(m); err != nil {
				return err
			}
			continue
		}
		key := agentKey{o.sel.Space, o.sel.Agent}
		if claims[key] == nil {
			order = append(order, key)
		}
		claims[key] = append(claims[key], o)
	}
	for _, key := range order {
		if err := t.claim(key, claims[key]); err != nil {
			return err
		}
	}
	return nil
}

// claim shares out the claimable jobs of an agent.
func (t *tx) claim(key agentKey, ops []*selectOp) error {
	for _, o := range ops {
		o.updated = nil
	}
	agent, err := t.agent(key.space, key.name)
	if err != nil || agent == nil || !agent.PausedAt.IsZero() {
		return err
	}
	most := 0
	for _, o := range ops {
		most += o.sel.Max
	}
	// What this transaction has changed already may be among them.
	limit := int64(most + len(t.changed))
	from, err := t.query(`SELECT j.id, j.version`+fromClaimable(t.nowText())+` ORDER BY j.num LIMIT ?`+t.s.forUpdate,
		key.space, key.name, limit)
	if err != nil {
		return err
	}
	found, err := t.recall(from)
	if err != nil {
		return err
	}
	jobs := t.hold(found, most)
	for _, o := range ops {
		n := min(o.sel.Max, len(jobs))
		if err := o.decideAll(t, jobs[:n]); err != nil {
			return err
		}
		jobs = jobs[n:]
	}
	return nil
}

// recall returns jobs that were locked, given their IDs and versions. It reads
// those that are not known here.
func (t *tx) recall(from row.Cursor) ([]*job.Job, error) {
	var all []*job.Job
	var ids []string
	at := map[string]int{}
	var id string
	var version int64
	err := row.Each(from, []any{&id, &version}, func() {
		j, known := t.s.known.get(id)
		if !known || j.Version != version {
			ids = append(ids, id)
			at[id] = len(all)
		}
		all = append(all, j)
	})
	if err != nil || len(ids) == 0 {
		return all, err
	}
	if from, err = t.query(`SELECT `+row.JobColumns+` FROM jobs j FORCE INDEX (jobs_id) WHERE j.id IN `+in(len(ids)), anys(ids)...); err != nil {
		return nil, err
	}
	read, err := row.Jobs(from, len(ids))
	if err == nil && len(read) != len(ids) {
		err = fmt.Errorf("%w: of %d jobs %d are there that were locked", errAgain, len(ids), len(read))
	}
	for i := range read {
		all[at[read[i].ID]] = &read[i]
	}
	return all, err
}

// selected finds the jobs of a selection and then locks them by ascending
// number, those that still are what was looked for.
func (t *tx) selected(sel job.Selection) ([]*held, error) {
	if sel.Kind == job.SelectDue {
		from, err := t.query(`SELECT `+row.JobColumns+fromDue(t.nowText())+t.s.forUpdate, int64(sel.Max+len(t.changed)))
		if err != nil {
			return nil, err
		}
		return t.holdRows(from, sel.Max)
	}
	find, args, err := selection(sel, t.nowText())
	if err != nil {
		return nil, refuse(err)
	}
	from, err := t.query(`SELECT j.num`+find, append(args, int64(sel.Max+len(t.changed)))...)
	if err != nil {
		return nil, err
	}
	var nums []int64
	var num int64
	if err := row.Each(from, []any{&num}, func() { nums = append(nums, num) }); err != nil || len(nums) == 0 {
		return nil, err
	}
	slices.Sort(nums)
	stages, lock := stageQueuing+`, `+stageWaiting, ` FOR UPDATE`
	if sel.Kind == job.SelectSilent {
		stages, lock = stageQueuing, t.s.forUpdate // the next pass gets the others
	}
	if from, err = t.query(`SELECT `+row.JobColumns+` FROM jobs j FORCE INDEX (PRIMARY) WHERE j.num IN `+in(len(nums))+`
		AND j.stage IN (`+stages+`) ORDER BY j.num`+lock, anys(nums)...); err != nil {
		return nil, err
	}
	jobs, err := t.holdRows(from, sel.Max)
	if err != nil || !sel.WithAgent {
		return jobs, err
	}
	keys := map[agentKey]struct{}{}
	for _, h := range jobs {
		keys[agentKey{h.is.Space, h.is.Agent}] = struct{}{}
	}
	return jobs, t.readAgents(keys)
}

// holdRows is hold of jobs that it reads.
func (t *tx) holdRows(from row.Cursor, max int) ([]*held, error) {
	read, err := row.Jobs(from, max)
	if err != nil {
		return nil, err
	}
	jobs := make([]*job.Job, len(read))
	for i := range read {
		jobs[i] = &read[i]
	}
	return t.hold(jobs, max), nil
}

// hold holds jobs that were locked, up to max of those that this transaction
// has not changed.
func (t *tx) hold(jobs []*job.Job, max int) []*held {
	all := make([]*held, 0, len(jobs))
	for _, j := range jobs {
		key := jobKey{j.Space, j.ID}
		h := t.jobs[key]
		switch {
		case len(all) == max:
			return all
		case h == nil || h.unsure && h.is == h.was:
			h = &held{was: j, is: j}
			t.jobs[key] = h
		case h.is != h.was:
			continue
		}
		all = append(all, h)
	}
	return all
}
