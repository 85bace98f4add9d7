package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

func (o *updateOp) weight() int { return 1 + 2*max(o.sel.Max, len(o.sel.IDs)) }

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
		if err := s.queue.do(ctx, o); err != nil {
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
	if err := s.queue.do(ctx, o); err != nil {
		return nil, err
	}
	return o.updated, nil
}

func (o *byIDOp) apply(t *tx) error {
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

// An update is guarded by the status and version that were read. It comes in
// several widths, since each column costs.
const (
	setHandOver = 1 << iota
	setState
	setReport
	setHistory
)

// widthOf returns the narrowest set of columns that holds the difference.
func widthOf(a, b *job.Job) int {
	switch {
	case a.Result != b.Result || len(a.Late) != len(b.Late):
		return setHandOver | setState | setReport
	case a.Reason != b.Reason || a.Approval != b.Approval ||
		!a.FinishedAt.Equal(b.FinishedAt) || !a.CancelRequestedAt.Equal(b.CancelRequestedAt):
		return setHandOver | setState
	case a.Status != b.Status || a.Lease != b.Lease || a.Attempt != b.Attempt ||
		!a.OfferedUntil.Equal(b.OfferedUntil) || !a.SentAt.Equal(b.SentAt):
		return setHandOver
	}
	return 0 // the agent said that it still runs the job
}

// historyColumn is a column to whose text an update adds.
const historyColumn = "history"

// columnsOf are the columns that an update of a width sets.
func columnsOf(width int) []string {
	columns := []string{"version", "last_word_at", "due_at"}
	if width&setHandOver != 0 {
		columns = append(columns, "status", "lease", "attempt", "offered_until", "sent_at")
	}
	if width&setState != 0 {
		columns = append(columns, "reason", "approval", "finished_at", "cancel_requested_at")
	}
	if width&setReport != 0 {
		columns = append(columns, "result", "exit_code", "digest", "output", "late")
	}
	if width&setHistory != 0 {
		columns = append(columns, historyColumn)
	}
	return columns
}

// valuesOf appends the values of columnsOf.
func valuesOf(args []any, j *job.Job, width int) ([]any, error) {
	args = append(args, j.Version, row.Micros(j.LastWordAt), row.Micros(j.DueAt))
	if width&setHandOver != 0 {
		args = append(args, string(j.Status), j.Lease, int64(j.Attempt), row.Micros(j.OfferedUntil), row.Micros(j.SentAt))
	}
	if width&setState != 0 {
		args = append(args, string(j.Reason), string(j.Approval), row.Micros(j.FinishedAt), row.Micros(j.CancelRequestedAt))
	}
	if width&setReport != 0 {
		bits, exitCode, digest, output := row.ResultArgs(j.Result)
		late, err := row.LateText(j.Late)
		if err != nil {
			return nil, err
		}
		args = append(args, bits, exitCode, digest, valid(output), late)
	}
	return args, nil
}

// updateRows is how many jobs one UPDATE changes. What differs between them is
// looked up by number for each, so its cost grows with the square; measured with
// MariaDB 10.11, 50 cost less than 25 or 100, and four fifths of a join with
// a table of the new values, a third of an UPDATE for each.
const updateRows = 50

// updateJobs writes the jobs that were changed: those of one width together.
func (t *tx) updateJobs() error {
	byWidth := map[int][]*held{}
	for _, h := range t.changed {
		w := widthOf(h.was, h.is)
		if t.history[h.is.Num] != nil {
			w |= setHistory
		}
		byWidth[w] = append(byWidth[w], h)
	}
	for width, changed := range byWidth {
		for some := range slices.Chunk(changed, updateRows) {
			if err := t.updateSome(some, width); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) updateSome(changed []*held, width int) error {
	columns := columnsOf(width)
	values := make([]any, 0, len(changed)*len(columns))
	nums := make([]any, len(changed))
	bytes := 0
	for i, h := range changed {
		nums[i] = h.was.Num
		var err error
		if values, err = valuesOf(values, h.is, width); err != nil {
			return err
		}
		if width&setHistory != 0 {
			values = append(values, valid(string(t.history[h.is.Num])))
		}
		for _, v := range values[i*len(columns):] {
			bytes += size(v)
		}
	}
	if bytes > insertBytes && len(changed) > 1 {
		half := len(changed) / 2
		if err := t.updateSome(changed[:half], width); err != nil {
			return err
		}
		return t.updateSome(changed[half:], width)
	}
	text, args := updateText(columns, nums, values)
	where, guards := guardOf(changed)
	found, err := t.exec(text+` WHERE num IN `+in(len(nums))+where, append(append(args, nums...), guards...)...)
	// Nobody can change a job that is locked, except where locks do not hold:
	// then it is all done again.
	if err == nil && found != int64(len(changed)) {
		return fmt.Errorf("%w: of %d jobs %d are as they were read", errAgain, len(changed), found)
	}
	return err
}

// updateText sets the columns of several jobs, most of which are alike, to the
// values that follow each other job by job.
func updateText(columns []string, nums, values []any) (text string, args []any) {
	var b strings.Builder
	b.WriteString(`UPDATE jobs SET `)
	for c, column := range columns {
		if c > 0 {
			b.WriteString(`, `)
		}
		set, end := column+` = `, ``
		if column == historyColumn {
			set, end = column+` = CONCAT(`+column+`, `, `)`
		}
		b.WriteString(set)
		alike := true
		for i := range nums {
			alike = alike && values[i*len(columns)+c] == values[c]
		}
		if alike {
			b.WriteString(`?` + end)
			args = append(args, values[c])
			continue
		}
		b.WriteString(`CASE num` + strings.Repeat(` WHEN ? THEN ?`, len(nums)) + ` END` + end)
		for i, num := range nums {
			args = append(args, num, values[i*len(columns)+c])
		}
	}
	return b.String(), args
}

// guardOf is the condition that the jobs are as they were read.
func guardOf(changed []*held) (text string, args []any) {
	first := changed[0].was
	alike := true
	for _, h := range changed {
		alike = alike && h.was.Version == first.Version && h.was.Status == first.Status
		args = append(args, h.was.Num, h.was.Version, string(h.was.Status))
	}
	if alike {
		return ` AND version = ? AND status = ?`, []any{first.Version, string(first.Status)}
	}
	return ` AND (num, version, status) IN (` + rowsOf(len(changed), 3) + `)`, args
}
