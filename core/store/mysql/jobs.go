package mysql

import (
	"context"
	"strconv"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// The stages of a job as jobs.stage has them, to stand in a statement.
const (
	stageQueuing   = "1"
	stageWaiting   = "2" // queuing, and waiting for approval
	stageSent      = "3"
	stageCanceling = "4" // sent, and a cancel was asked
	stageSucceeded = "5"
	stageFailed    = "6"
	stageExpired   = "7"
	stageCanceled  = "8"
)

// stagesOf are the stages that a status is made of.
func stagesOf(s job.Status) []string {
	switch s {
	case job.Queuing:
		return []string{stageQueuing, stageWaiting}
	case job.Sent:
		return []string{stageSent, stageCanceling}
	case job.Succeeded:
		return []string{stageSucceeded}
	case job.Failed:
		return []string{stageFailed}
	case job.Expired:
		return []string{stageExpired}
	case job.Canceled:
		return []string{stageCanceled}
	}
	return nil
}

// nowText is the clock that deadlines go by, as it stands in a statement.
func (s *Store) nowText() string {
	if s.clock == nil {
		return micros
	}
	return strconv.FormatInt(row.Micros(s.clock()), 10)
}

// Job implements job.Store.
func (s *Store) Job(ctx context.Context, space, id string) (job.Job, error) {
	return s.oneJob(ctx, `SELECT `+row.JobColumns+` FROM jobs j WHERE j.id = ? AND j.space = ?`, id, space)
}

// JobByNum implements job.Store.
func (s *Store) JobByNum(ctx context.Context, space string, num int64) (job.Job, error) {
	return s.oneJob(ctx, `SELECT `+row.JobColumns+` FROM jobs j WHERE j.num = ? AND j.space = ?`, num, space)
}

func (s *Store) oneJob(ctx context.Context, text string, args ...any) (job.Job, error) {
	var r row.Job
	found, err := s.row(ctx, text, args, r.Dest()...)
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
	// The job is over, and so is its output.
	var o row.Output
	found, err = s.row(ctx, `SELECT `+row.OutputColumns+` FROM outputs WHERE job = ?`, []any{j.Num}, o.Dest()...)
	if err != nil || !found {
		return j, err
	}
	chunks, err := s.chunks(ctx, `SELECT seq, text, at FROM output_chunks WHERE job = ? ORDER BY seq`, j.Num)
	if err != nil {
		return j, err
	}
	j.Result = row.Streamed(j.Result, &o, chunks)
	return j, nil
}

// Output implements job.Store.
func (s *Store) Output(ctx context.Context, space, id string, after int64, max int) ([]job.OutputChunk, error) {
	var num int64
	if found, err := s.row(ctx, `SELECT num FROM jobs WHERE id = ? AND space = ?`, []any{id, space}, &num); err != nil {
		return nil, err
	} else if !found {
		return nil, job.ErrNotFound
	}
	return s.chunks(ctx, `SELECT seq, text, at FROM output_chunks WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?`,
		num, after, int64(max))
}

func (s *Store) chunks(ctx context.Context, text string, args ...any) ([]job.OutputChunk, error) {
	from, err := s.query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	chunks, err := row.Chunks(from)
	return chunks, s.explain(err)
}

// events reads rows of row.EventColumns.
func (s *Store) events(ctx context.Context, text string, args ...any) ([]job.Event, error) {
	from, err := s.query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	events, err := row.Events(from)
	return events, s.explain(err)
}

// Cancels implements job.Store.
func (s *Store) Cancels(ctx context.Context, space, agent string) (holds []job.Hold, err error) {
	from, err := s.query(ctx, `SELECT j.id, j.lease FROM agents a FORCE INDEX (agents_name)
		STRAIGHT_JOIN jobs j FORCE INDEX (jobs_of_agent) ON j.stage = `+stageCanceling+` AND j.space = a.space AND j.agent = a.live_name
		WHERE a.space = ? AND a.live_name = ? AND j.sent_at >= a.created_at ORDER BY j.num`, space, agent)
	if err != nil {
		return nil, err
	}
	var h job.Hold
	err = row.Each(from, []any{&h.ID, &h.Lease}, func() { holds = append(holds, h) })
	return holds, s.explain(err)
}

// Counts implements job.Store.
func (s *Store) Counts(ctx context.Context) (map[job.Status]int64, error) {
	// All live jobs, and no other, by the index alone.
	from, err := s.query(ctx, `SELECT stage, COUNT(*) FROM jobs FORCE INDEX (jobs_sweep) WHERE sweep >= 0 GROUP BY stage`)
	if err != nil {
		return nil, err
	}
	counts := map[job.Status]int64{job.Queuing: 0, job.Sent: 0}
	var stage string
	var n int64
	err = row.Each(from, []any{&stage, &n}, func() {
		status := job.Sent
		if stage == stageQueuing || stage == stageWaiting {
			status = job.Queuing
		}
		counts[status] += n
	})
	return counts, s.explain(err)
}

// stirredAgents are the agents with a job of a stage that fits. The index is
// leapt through from agent to agent, so the number of jobs does not count.
func stirredAgents(stage, fits string) string {
	return `SELECT q.space, q.agent FROM (
			SELECT space, agent FROM jobs FORCE INDEX (jobs_of_agent) WHERE stage = ` + stage + ` GROUP BY stage, space, agent
		) q STRAIGHT_JOIN agents a FORCE INDEX (agents_name) ON a.space = q.space AND a.live_name = q.agent
		WHERE EXISTS (SELECT 1 FROM jobs j FORCE INDEX (jobs_of_agent)
			WHERE j.stage = ` + stage + ` AND j.space = q.space AND j.agent = q.agent AND ` + fits + `)`
}

// Stirred implements job.Store.
func (s *Store) Stirred(ctx context.Context, max int) (agents []job.AgentRef, err error) {
	claimable := stirredAgents(stageQueuing, `a.paused_at = 0 AND j.offered_until <= `+s.nowText())
	canceling := stirredAgents(stageCanceling, `j.sent_at >= a.created_at`)
	from, err := s.query(ctx, claimable+` UNION `+canceling+` ORDER BY space, agent LIMIT ?`, int64(max))
	if err != nil {
		return nil, err
	}
	var a job.AgentRef
	err = row.Each(from, []any{&a.Space, &a.Name}, func() { agents = append(agents, a) })
	return agents, s.explain(err)
}

// Marks implements job.Store.
func (s *Store) Marks(ctx context.Context, ids []string) (marks []job.Mark, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	from, err := s.query(ctx, `SELECT j.id, j.version, COALESCE(o.last_seq, 0) FROM jobs j
		LEFT JOIN outputs o ON o.job = j.num WHERE j.id IN `+in(len(ids)), anys(ids)...)
	if err != nil {
		return nil, err
	}
	var m job.Mark
	err = row.Each(from, []any{&m.ID, &m.Version, &m.OutputSeq}, func() { marks = append(marks, m) })
	return marks, s.explain(err)
}
