package events

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// Store is the outbox. A row is open until its delivery is recorded here.
type Store interface {
	// Unpublished returns up to max events that the queue does not have yet,
	// each job's by version.
	Unpublished(ctx context.Context, max int) ([]job.Event, error)
	// MarkPublished records that the queue has them.
	MarkPublished(ctx context.Context, events []job.Event) error

	// OpenConversations returns up to max conversations with something to
	// tell, oldest first, leaving out parked ones until their time.
	OpenConversations(ctx context.Context, max int) ([]Conversation, error)
	// Open returns up to max open events of a conversation in the order in
	// which they are to be told.
	Open(ctx context.Context, c Conversation, max int) ([]job.Event, error)
	// Record writes the outcome of one delivery in one transaction.
	Record(ctx context.Context, d Delivery) error
	// Park leaves the conversation alone until that time, after the given
	// number of failed tries.
	Park(ctx context.Context, c Conversation, until time.Time, tries int, reason string) error
	// MessageRef returns the message that shows the job, if one was sent.
	MessageRef(ctx context.Context, jobID string) (ref chat.MessageRef, ok bool, err error)
	// Shown returns up to max jobs of all spaces that are sent and have a
	// message that shows them, so that a restarted node goes on updating it.
	Shown(ctx context.Context, max int) ([]ShownJob, error)
	// DeadLetters lists up to max events that were given up, newest first.
	DeadLetters(ctx context.Context, space string, max int) ([]DeadLetter, error)
	// Backlog counts what is not told yet, and the age of the oldest of it.
	Backlog(ctx context.Context) (open int64, oldest time.Duration, err error)
}

// Conversation names one conversation of an account.
type Conversation struct {
	Account string
	Key     string
	// Tries counts the failed deliveries since the last good one.
	Tries int
}

// Delivery is the outcome of telling some events of one conversation with one
// message.
type Delivery struct {
	Conversation Conversation
	Events       []job.Event
	// JobID and Ref, when set, remember the message that shows the job. A
	// Delivery may do only that and have no Events.
	JobID string
	Ref   *chat.MessageRef
	// Dead, when set, says why the events were given up.
	Dead string
}

// ShownJob names a job that a message of a conversation shows.
type ShownJob struct {
	Space string
	ID    string
}

// DeadLetter is an event that could not be told.
type DeadLetter struct {
	Event  job.Event
	Reason string
	At     time.Time
}
