package row

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/letserverrun/skadi/core/job"
)

// JobColumns are the columns of jobs in the order of Job.Dest, for a query
// that calls the table j.
const JobColumns = `j.num, j.id, j.space, j.agent, j.status, j.reason, j.approval, j.version,
	j.lease, j.attempt, j.offered_until, j.created_at, j.sent_at, j.last_word_at, j.finished_at, j.due_at,
	j.cancel_requested_at, j.sender_account, j.sender_workspace, j.sender_user, j.sender_name,
	j.callback_url, j.conversation, j.result, j.exit_code, j.digest, j.message, j.output, j.late`

// The bits of jobs.result.
const (
	resultReported = 1 << iota
	resultTruncated
	resultStreamed
)

// Job is a row of jobs while it is read.
type Job struct {
	job                                         job.Job
	status, reason, approval                    string
	attempt                                     int64
	offered, created, sent, word, finished, due int64
	cancel, result                              int64
	exitCode                                    sql.NullInt64
	conversation, digest, output, late          string
	into                                        []any
}

// Dest returns where to scan a row to. The row may be scanned into again.
func (r *Job) Dest() []any {
	if r.into == nil {
		j := &r.job
		r.into = []any{
			&j.Num, &j.ID, &j.Space, &j.Agent, &r.status, &r.reason, &r.approval, &j.Version,
			&j.Lease, &r.attempt, &r.offered, &r.created, &r.sent, &r.word, &r.finished, &r.due,
			&r.cancel, &j.Sender.Account, &j.Sender.Workspace, &j.Sender.User, &j.Sender.Name,
			&j.CallbackURL, &r.conversation, &r.result, &r.exitCode, &r.digest, &j.Message, &r.output, &r.late,
		}
	}
	return r.into
}

// Read returns the job that was scanned. A streamed result has no output yet.
func (r *Job) Read() (job.Job, error) {
	j := r.job
	j.Status, j.Reason, j.Approval = Status(r.status), job.Reason(r.reason), job.Approval(r.approval)
	j.Attempt = int(r.attempt)
	j.OfferedUntil, j.CreatedAt, j.SentAt = Time(r.offered), Time(r.created), Time(r.sent)
	j.LastWordAt, j.FinishedAt, j.DueAt = Time(r.word), Time(r.finished), Time(r.due)
	j.CancelRequestedAt = Time(r.cancel)
	var err error
	if j.Conversation, err = Conversation(r.conversation); err != nil {
		return j, fmt.Errorf("job %s: %w", j.ID, err)
	}
	j.Result = nil
	if r.result&resultReported != 0 {
		j.Result = &job.Result{
			Output: r.output, Digest: r.digest,
			Truncated: r.result&resultTruncated != 0, Streamed: r.result&resultStreamed != 0,
		}
		if r.exitCode.Valid {
			code := int(r.exitCode.Int64)
			j.Result.ExitCode = &code
		}
	}
	j.Late = nil
	if r.late != "" {
		if err := json.Unmarshal([]byte(r.late), &j.Late); err != nil {
			return j, fmt.Errorf("job %s: read its late reports: %w", j.ID, err)
		}
	}
	return j, nil
}

// Status avoids keeping a copy of the same few words for each job.
func Status(s string) job.Status {
	for _, known := range [...]job.Status{job.Queuing, job.Sent, job.Succeeded, job.Failed, job.Expired, job.Canceled} {
		if string(known) == s {
			return known
		}
	}
	return job.Status(s)
}

// Jobs reads and closes rows of JobColumns, about expected of them.
func Jobs(from Cursor, expected int) ([]job.Job, error) {
	var r Job
	var failed error
	jobs := make([]job.Job, 0, min(expected, 256))
	err := Each(from, r.Dest(), func() {
		j, err := r.Read()
		if err != nil {
			failed = err
		}
		jobs = append(jobs, j)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return jobs, nil
}

// ResultArgs returns what is stored of a result in the columns result,
// exit_code, digest and output. exitCode is nil or an int64.
func ResultArgs(r *job.Result) (bits int64, exitCode any, digest, output string) {
	if r == nil {
		return 0, nil, "", ""
	}
	bits = resultReported
	if r.Truncated {
		bits |= resultTruncated
	}
	output = r.Output
	if r.Streamed {
		bits |= resultStreamed
		output = "" // what was streamed is kept as it came
	}
	if r.ExitCode != nil {
		exitCode = int64(*r.ExitCode)
	}
	return bits, exitCode, r.Digest, output
}

// CheckChange refuses what no change may touch.
func CheckChange(before, after *job.Job) error {
	switch {
	case after.ID != before.ID || after.Num != before.Num || after.Space != before.Space || after.Agent != before.Agent:
		return fmt.Errorf("a change of job %s may not make another job of it", before.ID)
	case after.Version <= before.Version:
		return fmt.Errorf("a change of job %s must raise its version above %d", before.ID, before.Version)
	case after.Status.Final() == after.FinishedAt.IsZero():
		return fmt.Errorf("a change of job %s must set FinishedAt if, and only if, its status is final", before.ID)
	}
	return nil
}

// CheckAdmitted refuses a job that is not the one its draft asked for.
func CheckAdmitted(d *job.Draft, made *job.Job) error {
	if made.ID == "" || made.Space != d.Space || made.Num != d.Num || made.Version < 1 ||
		made.Status.Final() == made.FinishedAt.IsZero() {
		return fmt.Errorf("the job admitted for agent %s lacks an ID or a version, is not the draft's, "+
			"or has FinishedAt without being final", d.Agent)
	}
	return nil
}
