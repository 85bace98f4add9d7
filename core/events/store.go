package events

import (
	"context"
	"errors"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
)

// DefaultPartitions is how many partitions conversations are spread over.
const DefaultPartitions = 16

// PartitionOf returns the partition, from 0 to n-1, of a conversation. A
// database keeps it with the conversation, so n is the same for ever.
func PartitionOf(account, key string, n int) int {
	return queue.PartitionOf(account+"\x00"+key, n)
}

// ErrNotHolder is returned by a guarded write whose lease is not held any
// more: another node serves the conversation, and nothing was written.
var ErrNotHolder = errors.New("another node serves this conversation now")

// Guard makes a write happen only while a lease has this epoch and has not run
// out, by the store's clock. Each new holder has an epoch of its own. The zero
// Guard lets every write pass.
type Guard struct {
	Lease string
	Epoch int64
}

// Store is the outbox. A row is open until its delivery is recorded here.
type Store interface {
	// Unpublished returns up to max events that the queue does not have yet,
	// each job's by version.
	Unpublished(ctx context.Context, max int) ([]job.Event, error)
	// MarkPublished records that the queue has them.
	MarkPublished(ctx context.Context, events []job.Event) error

	// OpenConversations returns up to max conversations of the partitions (of
	// all, if that is nil) with something to tell, oldest first, leaving out
	// parked ones until their time.
	OpenConversations(ctx context.Context, partitions []int, max int) ([]Conversation, error)
	// Open returns up to max open events of a conversation in the order in
	// which they are to be told.
	Open(ctx context.Context, c Conversation, max int) ([]job.Event, error)
	// Record writes the outcome of one delivery in one transaction.
	// ErrNotHolder: its guard does not hold, and nothing was written.
	Record(ctx context.Context, d Delivery) error
	// Park leaves the conversation alone until that time, after the given
	// number of failed tries. ErrNotHolder: the guard does not hold, and
	// nothing was written.
	Park(ctx context.Context, c Conversation, until time.Time, tries int, reason string, guard Guard) error
	// MessageRef returns the message that shows the job, if one was sent.
	MessageRef(ctx context.Context, jobID string) (ref chat.MessageRef, ok bool, err error)
	// Shown returns up to max jobs of all spaces that are sent, have a
	// message that shows them, and belong to a conversation of the partitions
	// (of all, if that is nil), so that a node which takes over goes on
	// updating the message.
	Shown(ctx context.Context, partitions []int, max int) ([]ShownJob, error)
	// DeadLetters lists up to max events that were given up, newest first.
	DeadLetters(ctx context.Context, space string, max int) ([]DeadLetter, error)
	// Backlog counts what is not told yet, and the age of the oldest of it.
	Backlog(ctx context.Context) (open int64, oldest time.Duration, err error)
}

// Conversation names one conversation of an account.
type Conversation struct {
	Account string
	Key     string
	// Partition is that of PartitionOf. It is an answer of the store, which
	// does not look at it when it is asked about a conversation.
	Partition int
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
	// Guard is the lease under which the conversation was served.
	Guard Guard
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
