package sqlite

import (
	"context"
	"errors"
	"fmt"
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

func (o *updateOp) weight() int { return 1 + 2*max(o.sel.Max, len(o.sel.IDs)) }

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
		if err := s.write.do(ctx, o); err != nil {
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
	if err := s.write.do(ctx, o); err != nil {
		return nil, err
	}
	return o.updated, nil
}

func (o *updateOp) apply(t *tx) error {
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

func (o *byIDOp) apply(t *tx) error {
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
		if j, ok := t.w.state.jobs.get(k); ok {
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

// decide asks what becomes of a job and writes it. Its error is one of the
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
	if err := t.updateJob(j, after, updateFor(j, after)); err != nil {
		return u, err
	}
	t.w.state.know(after)
	if t.loaded != nil {
		t.loaded[jobKey{after.Space, after.ID}] = after
	}
	u.Job, u.Changed = *after, true
	return u, t.tell(after, change.Events)
}

// An update is guarded by the status and version that were seen. It comes in
// several widths, since each column costs, and more so if an index names it.
var (
	// updateWord: the agent said that it still runs the job.
	updateWord = newUpdate(0)
	// updateHandOver: the job was offered or sent.
	updateHandOver = newUpdate(setHandOver)
	// updateFinish: the job is final.
	updateFinish = newUpdate(setHandOver | setState | setReport)
	// updateState: anything but what was reported.
	updateState = newUpdate(setHandOver | setState)
)

// update is a statement and the groups of columns that it sets.
type update struct {
	query *query
	sets  int
}

const (
	setHandOver = 1 << iota
	setState
	setReport
)

// newUpdate is for package-level variables only.
func newUpdate(sets int) *update {
	text := `UPDATE jobs SET version = ?, last_word_at = ?, due_at = ?`
	if sets&setHandOver != 0 {
		text += `, status = ?, lease = ?, attempt = ?, offered_until = ?, sent_at = ?`
	}
	if sets&setState != 0 {
		text += `, reason = ?, approval = ?, finished_at = ?, cancel_requested_at = ?`
	}
	if sets&setReport != 0 {
		text += `, result = ?, exit_code = ?, digest = ?, output = ?, late = ?`
	}
	return &update{query: newQuery(text + ` WHERE num = ? AND version = ? AND status = ?`), sets: sets}
}

// updateFor returns the narrowest update that writes the difference.
func updateFor(a, b *job.Job) *update {
	switch {
	case a.Result != b.Result || len(a.Late) != len(b.Late):
		return updateFinish
	case a.Reason != b.Reason || a.Approval != b.Approval ||
		!a.FinishedAt.Equal(b.FinishedAt) || !a.CancelRequestedAt.Equal(b.CancelRequestedAt):
		return updateState
	case a.Status != b.Status || a.Lease != b.Lease || a.Attempt != b.Attempt ||
		!a.OfferedUntil.Equal(b.OfferedUntil) || !a.SentAt.Equal(b.SentAt):
		return updateHandOver
	}
	return updateWord
}

// errStale: a job is not as it was seen. Nobody else can have changed it within
// the transaction, so it was remembered wrongly; the next try reads it.
var errStale = errors.New("what was known of a job is not so any more")

// updateJob writes j with the given update, guarded by what was seen of it.
func (t *tx) updateJob(seen, j *job.Job, u *update) error {
	args := append(t.args[:0], j.Version, row.Micros(j.LastWordAt), row.Micros(j.DueAt))
	if u.sets&setHandOver != 0 {
		args = append(args, string(j.Status), j.Lease, int64(j.Attempt), row.Micros(j.OfferedUntil), row.Micros(j.SentAt))
	}
	if u.sets&setState != 0 {
		args = append(args, string(j.Reason), string(j.Approval), row.Micros(j.FinishedAt), row.Micros(j.CancelRequestedAt))
	}
	if u.sets&setReport != 0 {
		bits, exitCode, digest, output := row.ResultArgs(j.Result)
		late, err := row.LateText(j.Late)
		if err != nil {
			return err
		}
		args = append(args, bits, exitCode, digest, output, late)
	}
	args = append(args, j.Num, seen.Version, string(seen.Status))
	t.args = args
	n, err := t.exec(u.query, args...)
	if err == nil && n != 1 {
		err = fmt.Errorf("%w: job %s is not %s at version %d", errStale, j.ID, seen.Status, seen.Version)
	}
	return err
}
