package sqlite

import (
	"context"
	"slices"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// updateOp is one call of Update.
type updateOp struct {
	sel     job.Selection
	decide  job.Decide
	updated []job.Updated
}

func (o *updateOp) Weight() int { return 1 + 2*max(o.sel.Max, len(o.sel.IDs)) }

// byIDOp is an updateOp of jobs by ID, which are read together with those of
// other members.
type byIDOp struct{ updateOp }

func (o *byIDOp) needs() []jobKey {
	keys := make([]jobKey, len(o.sel.IDs))
	for i, id := range o.sel.IDs {
		keys[i] = jobKey{o.sel.Space, id}
	}
	return keys
}

// Update implements job.Store.
func (s *Store) Update(ctx context.Context, sel job.Selection, decide job.Decide) ([]job.Updated, error) {
	if sel.Kind == job.SelectByID {
		if len(sel.IDs) == 0 {
			return nil, nil
		}
		sel.IDs = slices.Clone(sel.IDs) // the caller may leave before it is done
		o := &byIDOp{updateOp{sel: sel, decide: decide}}
		if err := s.write.Do(ctx, o); err != nil {
			return nil, err
		}
		return o.updated, nil
	}
	// Most of the time there is nothing to do; then nothing is written.
	if sel.Max <= 0 {
		return nil, nil
	}
	if any, err := s.anySelected(ctx, sel); err != nil || !any {
		return nil, err
	}
	o := &updateOp{sel: sel, decide: decide}
	if err := s.write.Do(ctx, o); err != nil {
		return nil, err
	}
	return o.updated, nil
}

func (o *updateOp) Apply(t *tx) error {
	jobs, err := t.selected(o.sel)
	if err != nil {
		return err
	}
	o.updated = make([]job.Updated, len(jobs))
	for i := range jobs {
		if o.updated[i], err = t.decide(jobs[i], o.sel.WithAgent, o.decide); err != nil {
			return err
		}
	}
	return nil
}

func (o *byIDOp) Apply(t *tx) error {
	o.updated = make([]job.Updated, len(o.sel.IDs))
	for i, id := range o.sel.IDs {
		j := t.loaded[jobKey{o.sel.Space, id}]
		if j == nil {
			o.updated[i].Err = job.ErrNotFound
			continue
		}
		u, err := t.decide(j, o.sel.WithAgent, o.decide)
		if err != nil {
			return err
		}
		if err := t.fillStreamed(&u.Job); err != nil {
			return err
		}
		o.updated[i] = u
	}
	return nil
}

var loadQuery = newQuery(`SELECT ` + row.JobColumns + ` FROM jobs j INDEXED BY jobs_id
	WHERE j.id IN (SELECT value FROM json_each(?)) AND j.space = ?`)

// load reads the jobs that members name by ID.
func (t *tx) load(keys []jobKey) error {
	if len(keys) == 0 {
		return nil
	}
	t.loaded = make(map[jobKey]*job.Job, len(keys))
	bySpace := map[string][]string{}
	for _, k := range keys {
		if j, ok := t.w.state.jobs.Get(k); ok {
			t.loaded[k] = j
		} else {
			bySpace[k.space] = append(bySpace[k.space], k.id)
		}
	}
	for space, ids := range bySpace {
		rows, err := t.query(loadQuery, jsonList(ids), space)
		if err != nil {
			return err
		}
		jobs, err := row.Jobs(rows, len(ids))
		if err != nil {
			return err
		}
		for i := range jobs {
			t.loaded[jobKey{space, jobs[i].ID}] = &jobs[i]
		}
	}
	return nil
}

// decide asks what becomes of a job and has it written when the member's work
// is done. Its error is one of the
// database; decide's own is in the answer.
func (t *tx) decide(j *job.Job, withAgent bool, decide job.Decide) (u job.Updated, err error) {
	v := job.View{Now: t.w.store.now(), Job: *j}
	if withAgent {
		agent, err := t.agent(j.Space, j.Agent)
		if err != nil {
			return u, err
		}
		v.Agent = row.CopyAgent(agent)
	}
	var change *job.Change
	u.Job = *j
	u.Err = t.calm("decide", func() error {
		var err error
		if change, err = decide(v); err != nil || change == nil {
			return err
		}
		return row.CheckChange(j, &change.Job)
	})
	if u.Err != nil || change == nil {
		return u, nil
	}
	after := new(job.Job) // kept, unlike the change
	*after = change.Job
	row.InMicroseconds(after)
	if err := t.updates.add(t, j, after, updateFor(j, after)); err != nil {
		return u, err
	}
	t.w.state.know(after)
	if t.loaded != nil {
		t.loaded[jobKey{after.Space, after.ID}] = after
	}
	u.Job, u.Changed = *after, true
	return u, t.tell(after, change.Events)
}
