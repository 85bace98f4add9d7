package mysql

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

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
// a table of the new values, a third of an UPDATE for each. alikeRows holds where
// nothing differs, which is so of most reports.
const (
	updateRows = 50
	alikeRows  = 500
)

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
		columns, values, err := t.differences(changed, width)
		if err != nil {
			return err
		}
		rows := updateRows
		if isAlike(changed, columns, values) {
			rows = alikeRows
		}
		for len(changed) > 0 {
			n := min(rows, len(changed))
			if err := t.updateSome(changed[:n], columns, values[:n*len(columns)]); err != nil {
				return err
			}
			changed, values = changed[n:], values[n*len(columns):]
		}
	}
	return nil
}

// differences returns those columns of a width that change at any of the jobs,
// and what they are to be, job by job. The others are as they were read, or the
// update's guard finds that they are not.
func (t *tx) differences(changed []*held, width int) (columns []string, values []any, err error) {
	all := columnsOf(width)
	var before, after []any
	for _, h := range changed {
		if before, err = valuesOf(before, h.was, width); err != nil {
			return nil, nil, err
		}
		if after, err = valuesOf(after, h.is, width); err != nil {
			return nil, nil, err
		}
		if width&setHistory != 0 {
			before = append(before, "") // to which nothing was added
			after = append(after, valid(string(t.history[h.is.Num])))
		}
	}
	differs := make([]bool, len(all))
	for i := range after {
		differs[i%len(all)] = differs[i%len(all)] || before[i] != after[i]
	}
	for c, column := range all {
		if differs[c] {
			columns = append(columns, column)
		}
	}
	values = make([]any, 0, len(changed)*len(columns))
	for i, v := range after {
		if differs[i%len(all)] {
			values = append(values, v)
		}
	}
	return columns, values, nil
}

// isAlike reports whether one expression for each column does for all the jobs.
func isAlike(changed []*held, columns []string, values []any) bool {
	nums := numsOf(changed)
	for c := range columns {
		if _, _, alike := common(nums, values[c:], len(columns)); !alike {
			return false
		}
	}
	return true
}

func numsOf(changed []*held) []any {
	nums := make([]any, len(changed))
	for i, h := range changed {
		nums[i] = h.was.Num
	}
	return nums
}

// common returns the expression that gives each of the jobs its value of a
// column, if there is one: the same for all, or a text that ends in the job's
// number, as the leases of a claim do. The values stand that many places apart.
func common(nums, values []any, apart int) (expression string, arg any, ok bool) {
	same := true
	for i := range nums {
		same = same && values[i*apart] == values[0]
	}
	if same {
		return `?`, values[0], true
	}
	var head string
	for i, num := range nums {
		text, _ := values[i*apart].(string)
		n, isNum := num.(int64)
		rest, ends := strings.CutSuffix(text, strconv.FormatInt(n, 10))
		if !isNum || !ends || rest == "" || i > 0 && rest != head {
			return "", nil, false
		}
		head = rest
	}
	return `CONCAT(?, num)`, head, true
}

func (t *tx) updateSome(changed []*held, columns []string, values []any) error {
	bytes := 0
	for _, v := range values {
		bytes += size(v)
	}
	if bytes > insertBytes && len(changed) > 1 {
		half := len(changed) / 2
		if err := t.updateSome(changed[:half], columns, values[:half*len(columns)]); err != nil {
			return err
		}
		return t.updateSome(changed[half:], columns, values[half*len(columns):])
	}
	nums := numsOf(changed)
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
		if one, arg, ok := common(nums, values[c:], len(columns)); ok {
			b.WriteString(one + end)
			args = append(args, arg)
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
