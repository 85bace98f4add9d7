package job

import (
	"strconv"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// Kind is the kind of an event.
type Kind string

// The kinds of event.
const (
	// EventMessage: say this text in that conversation.
	EventMessage Kind = "EventMessage"
	// EventJobStatus: this job changed status.
	EventJobStatus Kind = "EventJobStatus"
)

// Event is one row of the outbox and, for a job, one line of its history. It
// is written in the transaction of the change that it tells.
type Event struct {
	// Subject is the job's ID for every event about a job, or an ID of the
	// event's own. Subject and Version together are unique.
	Subject string
	// Version is the job's version after the change; 0 for an event that
	// belongs to no job.
	Version int64
	Space   string
	Kind    Kind
	At      time.Time
	// Conversation is where the event is told; nil when nobody is to be told
	// and the event is only published.
	Conversation *chat.ConversationRef

	// Agent and Num are the job's, so that whoever reads the event need not
	// read the job; empty and 0 for an event that is about no job.
	Agent string
	Num   int64

	// EventJobStatus:
	Status Status
	Reason Reason
	// By is the principal or agent that caused the change, if one did.
	By string
	// AgentSeenAt is when the agent was last seen, for agent_offline; zero
	// if never.
	AgentSeenAt time.Time

	// EventMessage:
	Text string
	// Output, when it is not 0, says that the message shows what the job Num
	// has put out, in place of Text: that page of it, from 1, where the channel
	// takes no file. Text is for whoever cannot show it.
	Output int
	// Mention is somebody to notify with Text.
	Mention *chat.Sender
	// Refused says that the message which Text answers was not carried out:
	// not allowed, not understood, or impossible.
	Refused bool
}

// ID names the event: subject and version.
func (e Event) ID() string { return e.Subject + "." + strconv.FormatInt(e.Version, 10) }
