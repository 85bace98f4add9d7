// Package job holds the heart of Skadi: what a job is, the arrows of its
// life, and the service that moves jobs along them.
//
// Every transition is decided by a pure function of the job as it stands
// (lifecycle.go) and written by the Store in one durable transaction together
// with the events that it causes.
package job

import (
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// DefaultSpace is the space (tenant) that exists without being made.
const DefaultSpace = "default"

// Status is where a job is in its life.
type Status string

// The statuses.
const (
	Queuing   Status = "queuing"
	Sent      Status = "sent"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Expired   Status = "expired"
	Canceled  Status = "canceled"
)

// Final reports whether a job with this status never changes it again.
func (s Status) Final() bool {
	switch s {
	case Succeeded, Failed, Expired, Canceled:
		return true
	}
	return false
}

// Valid reports whether s is one of the statuses.
func (s Status) Valid() bool { return s == Queuing || s == Sent || s.Final() }

// Mark returns the look of a job with this status.
func (s Status) Mark() chat.Mark {
	switch s {
	case Queuing:
		return chat.MarkWaiting
	case Sent:
		return chat.MarkRunning
	case Succeeded:
		return chat.MarkSucceeded
	case Failed:
		return chat.MarkFailed
	case Expired:
		return chat.MarkExpired
	case Canceled:
		return chat.MarkCanceled
	}
	return ""
}

// Reason says more about a status: why a job expired or was canceled, or what
// an agent said about a failure.
type Reason string

// The reasons that Skadi itself gives. An agent may report others.
const (
	AgentOffline    Reason = "agent_offline"
	NotTaken        Reason = "not_taken"
	NoResult        Reason = "no_result"
	MaxRun          Reason = "max_run"
	ApprovalTimeout Reason = "approval_timeout"
	Denied          Reason = "denied"
	AgentRemoved    Reason = "agent_removed"
	Interrupted     Reason = "interrupted"
)

// Approval is the state of a job that somebody must approve first.
type Approval string

// The states of an approval; a job that needs none has NoApproval.
const (
	NoApproval      Approval = ""
	ApprovalWaiting Approval = "waiting"
	ApprovalGranted Approval = "granted"
	ApprovalDenied  Approval = "denied"
)

// Job is a message for one agent, with a life of its own.
type Job struct {
	ID    string // UUIDv7
	Space string
	// Num numbers the jobs of a database; Code shows it.
	Num     int64
	Agent   string
	Message string
	Sender  chat.Sender
	// Conversation is where the job is told about; nil for a job that came
	// over the API.
	Conversation *chat.ConversationRef
	CallbackURL  string

	Status   Status
	Reason   Reason
	Approval Approval
	// Version counts the changes; the first is 1. Events are ordered by it.
	Version int64

	// Lease is the secret of the current hand-over; a report must name it.
	Lease string
	// OfferedUntil is when an unconfirmed offer runs out; zero without one.
	OfferedUntil time.Time
	// Attempt counts the hand-overs, 0 before the first.
	Attempt int

	CreatedAt  time.Time
	SentAt     time.Time // zero until sent
	LastWordAt time.Time // when the agent last said that it runs the job
	FinishedAt time.Time // zero until final
	// DueAt is when the sweeper looks at the job next, unless it is final.
	DueAt             time.Time
	CancelRequestedAt time.Time // zero unless a cancel was asked

	Result *Result // nil until an agent reported one
	Late   []LateReport
}

// Code is the job's short name, which a person can type: k7f3q2.
func (j Job) Code() string { return EncodeCode(j.Num) }

// Result is what an agent reported.
type Result struct {
	Output string
	// Streamed says that the report had no output of its own, so that what
	// was streamed stands; the store then reads Output from there.
	Streamed  bool
	ExitCode  *int
	Truncated bool
	// Digest identifies the report's body, to know a repetition of it.
	Digest string
}

// LateReport is a report that came after the job was final.
type LateReport struct {
	At       time.Time `json:"at"`
	Status   Status    `json:"status"`
	Output   string    `json:"output,omitempty"`
	ExitCode *int      `json:"exit_code,omitempty"`
	Digest   string    `json:"digest"`
}

// Agent is a name that jobs are sent to, and what is known of who answers to it.
type Agent struct {
	ID         string
	Space      string
	Name       string
	CreatedAt  time.Time
	RemovedAt  time.Time // zero while it exists
	PausedAt   time.Time // zero unless paused
	PausedBy   string
	LastSeenAt time.Time // zero if it never checked in
	// Instance is the process that last polled, if it names itself.
	Instance       string
	InstanceSeenAt time.Time
	Version        string
	Commands       []Command
}

// Command is something that an agent says it can do; help shows it.
type Command struct {
	Name  string `json:"name"`
	Usage string `json:"usage,omitempty"`
	Help  string `json:"help,omitempty"`
	// Open says that free text of the sender reaches a shell or a program
	// (`shell: true` or a handler), so that wide access rules are worth a
	// warning.
	Open bool `json:"open,omitempty"`
}

// OutputChunk is one piece of live output.
type OutputChunk struct {
	Seq  int64 // from 1, without gaps as the agent sends it
	Text string
	At   time.Time
}
