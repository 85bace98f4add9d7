package job

import (
	"strconv"
	"strings"
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
	// EventCopy: tell a status in one more place than its EventJobStatus is
	// told in. It stands in no history, and only those who tell it look at it.
	EventCopy Kind = "EventCopy"
)

// CallbackAccount is the account of conversations that are calls of a job's
// CallbackURL. No adapter has this name.
const CallbackAccount = "callback"

// Event is one row of the outbox and, for a job, one line of its history. It
// is written in the transaction of the change that it tells.
type Event struct {
	// Subject is the job's ID for every event about a job, or an ID of the
	// event's own; that of an EventCopy begins with the job's ID and a dot.
	// Subject and Version together are unique.
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

	// EventJobStatus and EventCopy:
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

// JobID is the job that the event is about, if it is about one of which the
// event tells a status; else its own Subject.
func (e Event) JobID() string {
	if e.Kind != EventCopy {
		return e.Subject
	}
	id, _, _ := strings.Cut(e.Subject, ".")
	return id
}

// copies are the events that tell e, the newest status of j, elsewhere too.
func copies(j *Job, e Event) []Event {
	var all []Event
	add := func(name string, to chat.ConversationRef) {
		c := e
		c.Subject, c.Version, c.Kind, c.Conversation = j.ID+"."+name, 0, EventCopy, &to
		all = append(all, c)
	}
	if j.Conversation != nil {
		for i, to := range j.Conversation.Also {
			add(strconv.FormatInt(e.Version, 10)+"."+strconv.Itoa(i+1), to)
		}
	}
	if j.CallbackURL != "" && e.Status.Final() {
		add("callback", chat.ConversationRef{Account: CallbackAccount, Key: j.ID})
	}
	return all
}
