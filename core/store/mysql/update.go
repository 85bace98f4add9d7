package mysql

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

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

// loader is an op that needs jobs by ID, which are read together with those
// of other members.
type loader interface{ needs() []jobKey }

// byIDOp is an updateOp of jobs by ID.
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
		if err := s.queue.Do(ctx, o); err != nil {
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
	o := &selectOp{updateOp{sel: sel, decide: decide}}
	if err := s.queue.Do(ctx, o); err != nil {
		return nil, err
	}
	return o.updated, nil
}

func (o *byIDOp) Apply(t *tx) error {
	o.updated = make([]job.Updated, len(o.sel.IDs))
	all := make([]int, len(o.sel.IDs))
	for i := range all {
		all[i] = i
	}
	again, err := o.decideSome(t, all)
	if err != nil || len(again) == 0 {
		return err
	}
	// What is not changed is not made sure of by an update.
	keys := make([]jobKey, len(again))
	for n, i := range again {
		keys[n] = jobKey{o.sel.Space, o.sel.IDs[i]}
		delete(t.jobs, keys[n])
	}
	if err := t.load(keys); err != nil {
		return err
	}
	_, err = o.decideSome(t, again)
	return err
}

// decideSome decides on some of the jobs, and returns those which it left alone
// and which may be others than it took them for.
func (o *byIDOp) decideSome(t *tx, some []int) (again []int, err error) {
	for _, i := range some {
		h := t.jobs[jobKey{o.sel.Space, o.sel.IDs[i]}]
		if h == nil {
			o.updated[i].Err = job.ErrNotFound
			continue
		}
		u, err := t.decide(h, o.sel.WithAgent, o.decide)
		if err != nil {
			return nil, err
		}
		if h.unsure && h.is == h.was {
			again = append(again, i)
			continue
		}
		if r := u.Job.Result; h.unsure && r != nil && r.Streamed {
			if err := t.sure(h); err != nil { // so that no more output comes
				return nil, err
			}
		}
		if err := t.fillStreamed(&u.Job); err != nil {
			return nil, err
		}
		o.updated[i] = u
	}
	return again, nil
}

// sure locks a job that was remembered.
func (t *tx) sure(h *held) error {
	var version int64
	found, err := t.row(`SELECT version FROM jobs WHERE num = ? FOR UPDATE`, []any{h.was.Num}, &version)
	if err == nil && (!found || version != h.was.Version) {
		err = fmt.Errorf("%w: job %s is not as it was written here", errAgain, h.was.ID)
	}
	h.unsure = false
	return err
}

// maxID is how long a job's ID may be.
const maxID = 64

// load reads and locks the jobs that members name by ID, in ascending order of
// ID, as every transaction does.
func (t *tx) load(keys []jobKey) error {
	ids := make([]string, 0, len(keys))
	wanted := make(map[jobKey]bool, len(keys))
	for _, k := range keys {
		// What cannot be an ID is none; the database would refuse to compare it.
		if !wanted[k] && len(k.id) <= maxID && utf8.ValidString(k.id) && k.space != "" {
			ids = append(ids, k.id)
		}
		wanted[k] = true
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	from, err := t.query(`SELECT `+row.JobColumns+` FROM jobs j FORCE INDEX (jobs_id)
		WHERE j.id IN `+in(len(ids))+` ORDER BY j.id FOR UPDATE`, anys(ids)...)
	if err != nil {
		return err
	}
	jobs, err := row.Jobs(from, len(ids))
	if err != nil {
		return err
	}
	for i := range jobs {
		if key := (jobKey{jobs[i].Space, jobs[i].ID}); wanted[key] {
			t.jobs[key] = &held{was: &jobs[i], is: &jobs[i]}
		}
	}
	return nil
}

// decide asks what becomes of a job and has it written. Its error is one of
// the database; decide's own is in the answer.
func (t *tx) decide(h *held, withAgent bool, decide job.Decide) (u job.Updated, err error) {
	v := job.View{Now: t.now, Job: *h.is}
	if withAgent {
		agent, err := t.agent(h.is.Space, h.is.Agent)
		if err != nil {
			return u, err
		}
		v.Agent = row.CopyAgent(agent)
	}
	var change *job.Change
	u.Job = *h.is
	u.Err = t.calm("decide", func() error {
		var err error
		if change, err = decide(v); err != nil || change == nil {
			return err
		}
		return row.CheckChange(h.is, &change.Job)
	})
	if u.Err != nil || change == nil {
		return u, nil
	}
	after := new(job.Job) // kept, unlike the change
	*after = change.Job
	row.InMicroseconds(after)
	if h.is == h.was {
		t.changed = append(t.changed, h)
	}
	h.is = after
	u.Job, u.Changed = *after, true
	return u, t.tell(after, change.Events)
}
