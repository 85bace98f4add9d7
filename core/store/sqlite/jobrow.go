package sqlite

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// jobColumns are the columns of jobs in the order of jobRow.dest, for a query
// that calls the table j.
const jobColumns = `j.num, j.id, j.space, j.agent, j.status, j.reason, j.approval, j.version,
	j.lease, j.attempt, j.offered_until, j.created_at, j.sent_at, j.last_word_at, j.finished_at, j.due_at,
	j.cancel_requested_at, j.sender_account, j.sender_workspace, j.sender_user, j.sender_name,
	j.callback_url, j.conversation, j.result, j.exit_code, j.digest, j.message, j.output, j.late`

// The bits of jobs.result.
const (
	resultReported = 1 << iota
	resultTruncated
	resultStreamed
)

// jobRow is a row of jobs while it is read.
type jobRow struct {
	job                                         job.Job
	status, reason, approval                    string
	attempt                                     int64
	offered, created, sent, word, finished, due int64
	cancel, result                              int64
	exitCode                                    sql.NullInt64
	conversation, digest, output, late          string
	into                                        []any
}

// dest returns where to scan a row to. The row may be scanned into again.
func (r *jobRow) dest() []any {
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

// read returns the job that was scanned.
func (r *jobRow) read() (job.Job, error) {
	j := r.job
	j.Status, j.Reason, j.Approval = statusOf(r.status), job.Reason(r.reason), job.Approval(r.approval)
	j.Attempt = int(r.attempt)
	j.OfferedUntil, j.CreatedAt, j.SentAt = timeOf(r.offered), timeOf(r.created), timeOf(r.sent)
	j.LastWordAt, j.FinishedAt, j.DueAt = timeOf(r.word), timeOf(r.finished), timeOf(r.due)
	j.CancelRequestedAt = timeOf(r.cancel)
	var err error
	if j.Conversation, err = conversationOf(r.conversation); err != nil {
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

// statusOf avoids keeping a copy of the same few words for each job.
func statusOf(s string) job.Status {
	for _, known := range [...]job.Status{job.Queuing, job.Sent, job.Succeeded, job.Failed, job.Expired, job.Canceled} {
		if string(known) == s {
			return known
		}
	}
	return job.Status(s)
}

// readJobs reads and closes rows of jobColumns, about expected of them.
func readJobs(from rows, expected int) ([]job.Job, error) {
	var r jobRow
	var failed error
	jobs := make([]job.Job, 0, min(expected, 256))
	err := eachRow(from, r.dest(), func() {
		j, err := r.read()
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

func conversationOf(text string) (*chat.ConversationRef, error) {
	if text == "" {
		return nil, nil
	}
	c := new(chat.ConversationRef)
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, fmt.Errorf("read its conversation: %w", err)
	}
	return c, nil
}

func conversationText(c *chat.ConversationRef) (string, error) {
	if c == nil {
		return "", nil
	}
	var text strings.Builder
	if err := plainJSON(&text, c); err != nil {
		return "", fmt.Errorf("the conversation of account %s cannot be stored: %w", c.Account, err)
	}
	return text.String(), nil
}

// resultArgs returns what is stored of a result: result, exit_code, digest,
// output.
func resultArgs(r *job.Result) (bits int64, exitCode any, digest, output string) {
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

func lateText(late []job.LateReport) (string, error) {
	if len(late) == 0 {
		return "", nil
	}
	var text strings.Builder
	if err := plainJSON(&text, late); err != nil {
		return "", fmt.Errorf("the late reports cannot be stored: %w", err)
	}
	return text.String(), nil
}
