package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

var (
	jobQuery      = newQuery(`SELECT ` + row.JobColumns + ` FROM jobs j INDEXED BY jobs_id WHERE j.id = ? AND j.space = ?`)
	jobByNumQuery = newQuery(`SELECT ` + row.JobColumns + ` FROM jobs j WHERE j.num = ? AND j.space = ?`)

	historyQuery = newQuery(`SELECT ` + row.EventColumns + ` FROM events e` + row.JoinJob + `
		WHERE e.subject = ? AND e.space = ? ORDER BY e.version`)

	cancelsQuery = newQuery(`SELECT j.id, j.lease FROM agents a INDEXED BY agents_name
		CROSS JOIN jobs j INDEXED BY jobs_canceling ON j.space = a.space AND j.agent = a.name AND ` + isCanceling + `
		WHERE a.space = ? AND a.name = ? AND a.removed_at = 0 AND j.sent_at >= a.created_at ORDER BY j.num`)

	countsQuery = newQuery(`SELECT j.status, count(*) FROM jobs j INDEXED BY jobs_live WHERE ` + isLive + ` GROUP BY j.status`)
)

// Job implements job.Store.
func (s *Store) Job(ctx context.Context, space, id string) (job.Job, error) {
	return s.oneJob(ctx, jobQuery, id, space)
}

// JobByNum implements job.Store.
func (s *Store) JobByNum(ctx context.Context, space string, num int64) (job.Job, error) {
	return s.oneJob(ctx, jobByNumQuery, num, space)
}

func (s *Store) oneJob(ctx context.Context, q *query, args ...any) (job.Job, error) {
	var r row.Job
	found, err := s.read.row(ctx, q, args, r.Dest()...)
	if err != nil {
		return job.Job{}, err
	}
	if !found {
		return job.Job{}, job.ErrNotFound
	}
	j, err := r.Read()
	if err != nil || j.Result == nil || !j.Result.Streamed {
		return j, err
	}
	j.Result, err = streamedResult(ctx, s.read, &j)
	return j, err
}

// History implements job.Store.
func (s *Store) History(ctx context.Context, space, id string) ([]job.Event, error) {
	rows, err := s.read.query(ctx, historyQuery, id, space)
	if err != nil {
		return nil, err
	}
	history, err := row.Events(rows)
	if err == nil && len(history) == 0 {
		return nil, job.ErrNotFound
	}
	return history, s.read.explain(err)
}

// Cancels implements job.Store.
func (s *Store) Cancels(ctx context.Context, space, agent string) (holds []job.Hold, err error) {
	rows, err := s.read.query(context.WithoutCancel(ctx), cancelsQuery, space, agent)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.read.explain(rows.Close())) }()
	for rows.Next() {
		var h job.Hold
		if err := rows.Scan(&h.ID, &h.Lease); err != nil {
			return nil, s.read.explain(err)
		}
		holds = append(holds, h)
	}
	return holds, s.read.explain(rows.Err())
}

// Counts implements job.Store.
func (s *Store) Counts(ctx context.Context) (counts map[job.Status]int64, err error) {
	rows, err := s.read.query(ctx, countsQuery)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.read.explain(rows.Close())) }()
	counts = map[job.Status]int64{job.Queuing: 0, job.Sent: 0}
	for rows.Next() {
		var status string
		var n int64
		if err := rows.Scan(&status, &n); err != nil {
			return nil, s.read.explain(err)
		}
		counts[row.Status(status)] = n
	}
	return counts, s.read.explain(rows.Err())
}

// defaultLimit is the length of a list whose Filter names none.
const defaultLimit = 50

// listColumns are row.JobColumns without the outputs.
var listColumns = strings.Replace(row.JobColumns, "j.output", "''", 1)

// principal is chat.Sender.Principal, as the index jobs_of_person has it.
const principal = `(j.sender_account || ':' || iif(j.sender_workspace = '', '', j.sender_workspace || '/') || j.sender_user)`

// Jobs implements job.Store.
func (s *Store) Jobs(ctx context.Context, f job.Filter) ([]job.Job, error) {
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	if f.Agents == nil || !byAgent(f) {
		return s.list(ctx, f)
	}
	// The newest of each agent, by the index, and of those the newest: any
	// other way would read all jobs of busy agents, or of all others.
	agents := slices.Compact(slices.Sorted(slices.Values(f.Agents)))
	if f.Agent != "" {
		if !slices.Contains(agents, f.Agent) {
			return nil, nil
		}
		agents = []string{f.Agent}
	}
	var nums []int64
	f.Agents = nil
	for _, agent := range agents {
		f.Agent = agent
		of, err := s.listNums(ctx, f)
		if err != nil {
			return nil, err
		}
		nums = append(nums, of...)
	}
	slices.SortFunc(nums, func(a, b int64) int { return int(b - a) })
	nums = nums[:min(len(nums), f.Limit)]
	return s.queryJobs(ctx, `SELECT `+listColumns+` FROM jobs j
		WHERE j.num IN (SELECT value FROM json_each(?)) ORDER BY j.num DESC`, jsonList(nums))
}

func (s *Store) list(ctx context.Context, f job.Filter) ([]job.Job, error) {
	from, args := listFrom(f)
	return s.queryJobs(ctx, `SELECT `+listColumns+from, args...)
}

func (s *Store) listNums(ctx context.Context, f job.Filter) (nums []int64, err error) {
	from, args := listFrom(f)
	rows, err := s.read.db.QueryContext(ctx, `SELECT j.num`+from, args...) //nolint:gosec // from is made of our own words; values are in args
	if err != nil {
		return nil, s.read.explain(err)
	}
	defer func() { err = errors.Join(err, s.read.explain(rows.Close())) }()
	for rows.Next() {
		var num int64
		if err := rows.Scan(&num); err != nil {
			return nil, s.read.explain(err)
		}
		nums = append(nums, num)
	}
	return nums, s.read.explain(rows.Err())
}

// byAgent reports whether jobs of given agents are best found by their agent:
// those of a person, and those that are not over, are few.
func byAgent(f job.Filter) bool {
	return !ofPerson(f) && f.Status != job.Queuing && f.Status != job.Sent
}

// ofPerson reports whether the index by sender serves the filter.
func ofPerson(f job.Filter) bool { return f.Sender != "" && !strings.HasPrefix(f.Sender, "token:") }

// listFrom returns all of a list's query but its columns. It names the index,
// since SQLite knows less about the table than we do.
func listFrom(f job.Filter) (from string, args []any) {
	var where []string
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	add(`j.space = ?`, f.Space)
	if f.Agent != "" {
		add(`j.agent = ?`, f.Agent)
	}
	if f.Agents != nil {
		add(`j.agent IN (SELECT value FROM json_each(?))`, jsonList(f.Agents))
	}
	if f.Sender != "" {
		add(principal+` = ?`, f.Sender)
	}
	if f.Status != "" {
		add(`j.status = ?`, string(f.Status))
	}
	var index string
	switch {
	case f.Status == job.Queuing || f.Status == job.Sent:
		add(isLive)
		index = "INDEXED BY jobs_live"
	case ofPerson(f):
		add(`j.sender_account <> 'token'`)
		index = "INDEXED BY jobs_of_person"
	case f.Agent != "":
		index = "INDEXED BY jobs_of_agent"
	case f.Status != "" && f.Status != job.Succeeded:
		add(`j.finished_at > 0 AND j.status <> 'succeeded'`)
		index = "INDEXED BY jobs_unsuccessful"
	default:
		index = "NOT INDEXED"
	}
	if f.Before > 0 {
		add(`j.num < ?`, f.Before)
	}
	from = fmt.Sprintf(` FROM jobs j %s WHERE %s ORDER BY j.num DESC LIMIT ?`, index, strings.Join(where, ` AND `))
	return from, append(args, int64(f.Limit))
}

func (s *Store) queryJobs(ctx context.Context, query string, args ...any) ([]job.Job, error) {
	rows, err := s.read.db.QueryContext(ctx, query, args...) //nolint:rowserrcheck // readJobs does
	if err != nil {
		return nil, s.read.explain(err)
	}
	jobs, err := row.Jobs(rows, defaultLimit)
	if err != nil {
		return nil, s.read.explain(err)
	}
	for i := range jobs {
		for k := range jobs[i].Late {
			jobs[i].Late[k].Output = ""
		}
	}
	return jobs, nil
}
