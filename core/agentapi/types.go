// Package agentapi holds the JSON of Skadi's HTTP API, version 1, and a client
// for it. It imports only the standard library, so that an agent links
// nothing else of Skadi.
package agentapi

import "time"

// Job is a job as the API shows it.
type Job struct {
	ID         string     `json:"id"`
	Code       string     `json:"code"`
	Agent      string     `json:"agent"`
	Message    string     `json:"message"`
	Status     string     `json:"status"`
	Reason     string     `json:"reason,omitempty"`
	Approval   string     `json:"approval,omitempty"`
	Sender     Sender     `json:"sender"`
	Result     *Result    `json:"result,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	SentAt     *time.Time `json:"sent_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	DeadlineAt *time.Time `json:"deadline_at,omitempty"`
	Attempt    int        `json:"attempt"`
	Version    int64      `json:"version"`

	CancelRequestedAt *time.Time   `json:"cancel_requested_at,omitempty"`
	Late              []LateReport `json:"late,omitempty"`
}

// Final reports whether the job's status never changes again.
func (j Job) Final() bool { return j.Status != "queuing" && j.Status != "sent" }

// Sender is who sent a message.
type Sender struct {
	Adapter string `json:"adapter"`
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
}

// Result is what an agent reported of a job.
type Result struct {
	Output    string `json:"output"`
	ExitCode  *int   `json:"exit_code,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
}

// LateReport is a report that came after the job was final.
type LateReport struct {
	At       time.Time `json:"at"`
	Status   string    `json:"status"`
	Output   string    `json:"output,omitempty"`
	ExitCode *int      `json:"exit_code,omitempty"`
}

// Push asks for a job.
type Push struct {
	Agent       string `json:"agent"`
	Message     string `json:"message"`
	CallbackURL string `json:"callback_url,omitempty"`
}

// Batch asks for up to 1,000 jobs.
type Batch struct {
	Jobs []Push `json:"jobs"`
}

// BatchAnswer answers each Push of a Batch, in order.
type BatchAnswer struct {
	Jobs []JobOrProblem `json:"jobs"`
}

// JobOrProblem is one answer of a batch: exactly one field is set.
type JobOrProblem struct {
	Job     *Job     `json:"job,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

// JobList is one page of jobs, newest first. Their outputs are left out.
type JobList struct {
	Jobs       []Job  `json:"jobs"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// Problem is an error as RFC 9457 has it (application/problem+json). Type is
// stable; programs decide by it, never by Detail.
type Problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"`
	// Field names the value at fault, Rule the access rule that is missing,
	// Expected the sequence number that output should have had.
	Field    string `json:"field,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Expected int64  `json:"expected,omitempty"`
	// Job is the job as it stands, with a conflict.
	Job       *Job   `json:"job,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// RetryAfter is the Retry-After header of the answer, set by the Client;
	// 0 when there was none.
	RetryAfter time.Duration `json:"-"`
}

func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// Agent is an agent as the API shows it.
type Agent struct {
	Name       string     `json:"name"`
	Online     bool       `json:"online"`
	Paused     bool       `json:"paused,omitempty"`
	LastSeenAt *time.Time `json:"last_seen_at,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	Version    string     `json:"version,omitempty"`
	Commands   []Command  `json:"commands,omitempty"`
}

// AgentList lists a space's agents by name.
type AgentList struct {
	Agents []Agent `json:"agents"`
}

// Node is one server of those that share a database.
type Node struct {
	ID        string    `json:"id"`
	Host      string    `json:"host"`
	Addr      string    `json:"addr"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	SeenAt    time.Time `json:"seen_at"`
	Alive     bool      `json:"alive"`
	// Self marks the server that answers.
	Self bool `json:"self,omitempty"`
	// Duties are what it alone does at the moment, for all.
	Duties []string `json:"duties"`
}

// NodeList lists servers, the one started last first.
type NodeList struct {
	Nodes []Node `json:"nodes"`
}

// Account is one of a server's accounts on the channels that people write in.
type Account struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	// State is "starting", "healthy" or "unhealthy".
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Error is what is wrong with an unhealthy account, or why one that is
	// starting has not connected yet.
	Error string `json:"error,omitempty"`
	// Restarts counts how often the account was started again after a failure.
	Restarts int `json:"restarts,omitempty"`
}

// AccountList lists the accounts of the server that answers, by name.
type AccountList struct {
	Accounts []Account `json:"accounts"`
}

// Reloaded says what came of a config that a server has read again. A server
// takes all of it, or nothing.
type Reloaded struct {
	// Node is the ID of the server that did so.
	Node string `json:"node"`
	// Applied are the keys that changed and hold now.
	Applied []string `json:"applied"`
	// Restart are the keys that changed and hold after the next start.
	Restart []string `json:"restart"`
	// The accounts that were begun, begun again and ended. No other was
	// disturbed.
	Added   []string `json:"added"`
	Changed []string `json:"changed"`
	Removed []string `json:"removed"`
}

// NewAgent names an agent to make.
type NewAgent struct {
	Name string `json:"name"`
}

// AgentToken is a new agent's name and token; the token is shown this once.
type AgentToken struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

// Command is something that an agent can do, for help to show.
type Command struct {
	Name  string `json:"name"`
	Usage string `json:"usage,omitempty"`
	Help  string `json:"help,omitempty"`
	// Open says that free text reaches a shell or a program.
	Open bool `json:"open,omitempty"`
}

// Hold names a job and the lease that the agent holds on it.
type Hold struct {
	ID    string `json:"id"`
	Lease string `json:"lease"`
}

// PollRequest asks for work. WaitSeconds is at most 55; a nil Max is 1 and 0
// only checks in.
type PollRequest struct {
	Instance    string    `json:"instance,omitempty"`
	WaitSeconds int       `json:"wait_seconds,omitempty"`
	Max         *int      `json:"max,omitempty"`
	Confirm     bool      `json:"confirm,omitempty"`
	Running     []Hold    `json:"running,omitempty"`
	Commands    []Command `json:"commands,omitempty"`
	Version     string    `json:"version,omitempty"`
}

// PollAnswer has the jobs to run and the ones to stop.
type PollAnswer struct {
	Jobs   []Assignment `json:"jobs"`
	Cancel []Hold       `json:"cancel"`
}

// Assignment is one job handed to an agent.
type Assignment struct {
	ID         string    `json:"id"`
	Code       string    `json:"code"`
	Message    string    `json:"message"`
	Sender     Sender    `json:"sender"`
	Attempt    int       `json:"attempt"`
	Lease      string    `json:"lease"`
	DeadlineAt time.Time `json:"deadline_at"`
	// Traceparent, if the job is traced, puts what the agent does into the
	// job's trace (W3C Trace Context).
	Traceparent string `json:"traceparent,omitempty"`
}

// Starts confirms that offered jobs are about to run.
type Starts struct {
	Starts []Hold `json:"starts"`
}

// Answer is what became of one item of a batch: an HTTP status, with the
// problem unless it is 200.
type Answer struct {
	ID      string   `json:"id"`
	Status  int      `json:"status"`
	Job     *Job     `json:"job,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

// Answers answers each item of a batch, in order.
type Answers struct {
	Answers []Answer `json:"answers"`
}

// Output is one piece of live output; Seq counts from 1.
type Output struct {
	Lease string `json:"lease"`
	Seq   int64  `json:"seq"`
	Text  string `json:"text"`
}

// Report is the result of a job. A nil Output leaves what was streamed.
type Report struct {
	Lease     string  `json:"lease"`
	Status    string  `json:"status"` // succeeded, failed or canceled
	Reason    string  `json:"reason,omitempty"`
	Output    *string `json:"output,omitempty"`
	Truncated bool    `json:"truncated,omitempty"`
	ExitCode  *int    `json:"exit_code,omitempty"`
}

// IdentifiedReport is a Report in a batch.
type IdentifiedReport struct {
	ID string `json:"id"`
	Report
}

// Reports is a batch of results.
type Reports struct {
	Results []IdentifiedReport `json:"results"`
}

// Message is something that an agent says of its own accord: to the
// conversation of a job, or to a channel that the config lets it speak in.
type Message struct {
	Job     string `json:"job,omitempty"`
	Channel string `json:"channel,omitempty"`
	Text    string `json:"text"`
}

// Event is one event of GET /v1/events and of the queue.
type Event struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // EventMessage or EventJobStatus
	At      time.Time `json:"at"`
	Job     string    `json:"job,omitempty"`
	Code    string    `json:"code,omitempty"`
	Agent   string    `json:"agent,omitempty"`
	Status  string    `json:"status,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Version int64     `json:"version,omitempty"`
	By      string    `json:"by,omitempty"`
	Text    string    `json:"text,omitempty"`
	// V is the format of the event. It grows when a field changes its
	// meaning; fields may be added without that.
	V int `json:"v"`
}
