package sqlite

import (
	"errors"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// An update is guarded by the status and version that were seen. It comes in
// several widths, since each column costs, and more so if an index names it.
const (
	// updateWord: the agent said that it still runs the job.
	updateWord = iota
	// updateHandOver: the job was offered or sent.
	updateHandOver
	// updateState: anything but what was reported.
	updateState
	// updateFinish: the job is final.
	updateFinish
	updateWidths
)

// The columns that each width adds to the one before.
var updateColumns = [updateWidths][]string{
	updateWord:     {"version", "last_word_at", "due_at"},
	updateHandOver: {"status", "lease", "attempt", "offered_until", "sent_at"},
	updateState:    {"reason", "approval", "finished_at", "cancel_requested_at"},
	updateFinish:   {"result", "exit_code", "digest", "output", "late"},
}

var updateQueries = [updateWidths]*rewrite{
	newRewrite(updateWord), newRewrite(updateHandOver), newRewrite(updateState), newRewrite(updateFinish),
}

// rewrite is an UPDATE of any number of jobs, in statements of a few sizes:
// together they cost a quarter less than one by one.
type rewrite struct {
	columns int // values of a job, with the three that guard it
	queries [len(chunkSizes)]*query
}

// newRewrite is for package-level variables only.
func newRewrite(width int) *rewrite {
	var columns, single, several []string
	for _, added := range updateColumns[:width+1] {
		columns = append(columns, added...)
	}
	for i, name := range columns {
		single = append(single, name+" = ?")
		several = append(several, fmt.Sprintf("%s = new.column%d", name, i+1))
	}
	n := len(columns)
	r := &rewrite{columns: n + 3}
	values := "(?" + strings.Repeat(",?", r.columns-1) + ")"
	for i, size := range chunkSizes {
		text := "UPDATE jobs SET " + strings.Join(single, ", ") + " WHERE num = ? AND version = ? AND status = ?"
		if size > 1 {
			text = "UPDATE jobs SET " + strings.Join(several, ", ") +
				" FROM (VALUES " + values + strings.Repeat(","+values, size-1) + ") new" +
				fmt.Sprintf(" WHERE num = new.column%d AND version = new.column%d AND status = new.column%d", n+1, n+2, n+3)
		}
		r.queries[i] = newQuery(text)
	}
	return r
}

// updateFor returns the narrowest update that writes the difference.
func updateFor(a, b *job.Job) (width int) {
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

// updates are the changes of jobs that one member has decided. They are
// written together once it has decided all, and before anybody reads.
type updates struct {
	nums map[int64]bool
	args [updateWidths][]any
}

// add has j written, guarded by what was seen of it.
func (u *updates) add(t *tx, seen, j *job.Job, width int) error {
	late, err := row.LateText(j.Late)
	if err != nil {
		return err
	}
	if u.nums[j.Num] { // twice by one member: one after the other
		if err := u.flush(t); err != nil {
			return err
		}
	}
	u.nums[j.Num] = true
	args := append(u.args[width], j.Version, row.Micros(j.LastWordAt), row.Micros(j.DueAt))
	if width >= updateHandOver {
		args = append(args, string(j.Status), j.Lease, int64(j.Attempt), row.Micros(j.OfferedUntil), row.Micros(j.SentAt))
	}
	if width >= updateState {
		args = append(args, string(j.Reason), string(j.Approval), row.Micros(j.FinishedAt), row.Micros(j.CancelRequestedAt))
	}
	if width >= updateFinish {
		bits, exitCode, digest, output := row.ResultArgs(j.Result)
		args = append(args, bits, exitCode, digest, output, late)
	}
	u.args[width] = append(args, j.Num, seen.Version, string(seen.Status))
	return nil
}

// flush writes what was added.
func (u *updates) flush(t *tx) error {
	if len(u.nums) == 0 {
		return nil
	}
	for width, args := range u.args {
		if len(args) == 0 {
			continue
		}
		if err := updateQueries[width].exec(t, args); err != nil {
			return err
		}
	}
	u.reset()
	return nil
}

// reset drops what was added.
func (u *updates) reset() {
	for width, args := range u.args {
		clear(args)
		u.args[width] = args[:0]
	}
	if u.nums == nil {
		u.nums = map[int64]bool{}
	}
	clear(u.nums)
}

// exec updates the jobs whose values follow each other in args.
func (r *rewrite) exec(t *tx, args []any) error {
	for i, jobs := range chunkSizes {
		for size := jobs * r.columns; len(args) >= size; args = args[size:] {
			n, err := t.exec(r.queries[i], args[:size]...)
			if err != nil {
				return err
			}
			if n != int64(jobs) {
				return fmt.Errorf("%w: of %d jobs, %d are as they were seen", errStale, jobs, n)
			}
		}
	}
	return nil
}
