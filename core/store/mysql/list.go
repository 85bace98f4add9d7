package mysql

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

const (
	// defaultLimit is the length of a list whose Filter names none.
	defaultLimit = 50
	// maxRanges is how many ranges of an index one statement reads.
	maxRanges = 64
)

// listColumns are row.JobColumns without the outputs.
var listColumns = strings.Replace(row.JobColumns, "j.output", "''", 1)

// principal is chat.Sender.Principal. Other than jobs.person it is there for
// tokens too.
const principal = `CONCAT(j.sender_account, ':', CASE WHEN j.sender_workspace = '' THEN '' ELSE CONCAT(j.sender_workspace, '/') END, j.sender_user)`

// span is a range of an index in which jobs lie by their number.
type span struct {
	index string
	where string // of the index's columns but the number
	args  []any
}

// Jobs implements job.Store. The newest are found in each range of an index
// that can have any, and of those the newest are read: other ways would read
// all jobs of busy agents, or of all others.
func (s *Store) Jobs(ctx context.Context, f job.Filter) ([]job.Job, error) {
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	if f.Status != "" && stagesOf(f.Status) == nil {
		return nil, nil
	}
	var nums []int64
	for batch := range slices.Chunk(spansOf(f), maxRanges) {
		text, args := numsQuery(f, batch)
		from, err := s.query(ctx, text, args...)
		if err != nil {
			return nil, err
		}
		var num int64
		if err := row.Each(from, []any{&num}, func() { nums = append(nums, num) }); err != nil {
			return nil, s.explain(err)
		}
	}
	slices.Sort(nums)
	slices.Reverse(nums)
	nums = nums[:min(len(nums), f.Limit)]
	if len(nums) == 0 {
		return nil, nil
	}
	// A job may have changed between the two reads.
	text, args := `SELECT `+listColumns+` FROM jobs j WHERE j.num IN `+in(len(nums)), anys(nums)
	if f.Status != "" {
		text, args = text+` AND j.status = ?`, append(args, string(f.Status))
	}
	from, err := s.query(ctx, text+` ORDER BY j.num DESC`, args...)
	if err != nil {
		return nil, err
	}
	jobs, err := row.Jobs(from, len(nums))
	if err != nil {
		return nil, s.explain(err)
	}
	for i := range jobs {
		for k := range jobs[i].Late {
			jobs[i].Late[k].Output = ""
		}
	}
	return jobs, nil
}

// numsQuery returns a query for the numbers of the newest jobs in the ranges.
func numsQuery(f job.Filter, ranges []span) (text string, args []any) {
	var where strings.Builder
	var values []any
	add := func(condition string, value ...any) {
		where.WriteString(` AND ` + condition)
		values = append(values, value...)
	}
	if f.Before > 0 {
		add(`j.num < ?`, f.Before)
	}
	if f.Sender != "" {
		add(principal+` = ?`, f.Sender)
	}
	if f.Status != "" {
		add(`j.status = ?`, string(f.Status))
	}
	if f.Agent != "" {
		add(`j.agent = ?`, f.Agent)
	}
	if f.Agents != nil {
		add(`j.agent IN `+in(len(f.Agents)), anys(f.Agents)...)
	}
	var b strings.Builder
	for i, r := range ranges {
		if i > 0 {
			b.WriteString(` UNION ALL `)
		}
		b.WriteString(`SELECT num FROM (SELECT j.num FROM jobs j FORCE INDEX (` + r.index + `) WHERE ` + r.where +
			where.String() + ` ORDER BY j.num DESC LIMIT ?) r` + strconv.Itoa(i))
		args = append(append(append(args, r.args...), values...), int64(f.Limit))
	}
	return b.String(), args
}

// spansOf returns ranges that have all jobs of the filter, and not many others.
func spansOf(f job.Filter) (ranges []span) {
	agents := f.Agents
	if f.Agent != "" {
		if agents != nil && !slices.Contains(agents, f.Agent) {
			return nil
		}
		agents = []string{f.Agent}
	}
	stages := stagesOf(f.Status)
	if f.Status == "" {
		stages = []string{
			stageQueuing, stageWaiting, stageSent, stageCanceling,
			stageSucceeded, stageFailed, stageExpired, stageCanceled,
		}
	}
	switch {
	case ofPerson(f):
		return []span{{"jobs_of_person", `j.space = ? AND j.person = ?`, []any{f.Space, f.Sender}}}
	case agents != nil:
		for _, agent := range slices.Compact(slices.Sorted(slices.Values(agents))) {
			for _, stage := range stages {
				ranges = append(ranges, span{
					"jobs_of_agent", `j.stage = ` + stage + ` AND j.space = ? AND j.agent = ?`, []any{f.Space, agent},
				})
			}
		}
	case f.Status == job.Queuing || f.Status == job.Sent:
		for _, stage := range stages {
			ranges = append(ranges, span{"jobs_of_agent", `j.stage = ` + stage + ` AND j.space = ?`, []any{f.Space}})
		}
	default:
		for _, outcome := range outcomesOf(f.Status) {
			ranges = append(ranges, span{"jobs_in", `j.space = ? AND j.outcome = ?`, []any{f.Space, outcome}})
		}
	}
	return ranges
}

// outcomesOf are the values of jobs.outcome that jobs of a status have.
func outcomesOf(s job.Status) []any {
	const good, failed, expired, canceled = int64(0), int64(1), int64(2), int64(3)
	switch s {
	case "":
		return []any{good, failed, expired, canceled}
	case job.Failed:
		return []any{failed}
	case job.Expired:
		return []any{expired}
	case job.Canceled:
		return []any{canceled}
	}
	return []any{good}
}

// ofPerson reports whether the index by person serves the filter.
func ofPerson(f job.Filter) bool { return f.Sender != "" && !strings.HasPrefix(f.Sender, "token:") }
