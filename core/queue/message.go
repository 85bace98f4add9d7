package queue

import (
	"context"
	"errors"
	"hash/fnv"
	"time"
)

// ErrClosed is the error of every method of a queue that was closed.
var ErrClosed = errors.New("the queue is closed")

// Message is one event as the queue carries it.
type Message struct {
	// ID is the event's ID. A message that was published twice has the same
	// ID both times.
	ID    string
	Space string
	// Kind is EventMessage, EventJobStatus or EventCopy.
	Kind string
	// Partition keeps order: messages of one partition are handled in the
	// order in which they were published. See PartitionOf.
	Partition int
	// Conversation is where the event is to be told; nil when nobody is to
	// be told. Data says the same.
	Conversation *Conversation
	// Data is the event as JSON: a Payload.
	Data []byte
}

// Conversation names a conversation of an adapter account.
type Conversation struct {
	Account string `json:"account"`
	Channel string `json:"channel,omitempty"`
	Key     string `json:"key"`
}

// Consumer is the part of a queue that hands out messages.
type Consumer interface {
	// Consume hands the group's messages to h until ctx ends, and then returns
	// nil; after Close it returns nil or ErrClosed. It goes on by itself when
	// the queue was away.
	//
	// It reads the partitions that are named, and all if partitions is nil. A
	// partition's messages are handled in order, by one Consume of this
	// process at a time. Of several processes only one at a time may name a
	// partition for a group; it gets at once what another before it took and
	// did not finish.
	Consume(ctx context.Context, group, consumer string, partitions []int, h Handler) error
}

// Handler takes the messages of a consumer group.
type Handler interface {
	// Handle takes messages of one partition, in their order. It may get the
	// same message again: after an error, which is retried with backoff, and
	// after a crash. It must return soon after ctx ends.
	Handle(ctx context.Context, batch []Message) error
	// Lost says that messages may have been lost, so that the handler must
	// look in the database for itself. It is called when consuming begins,
	// once the consumer gets what is published from then on, and before
	// messages that came after a loss.
	Lost(ctx context.Context)
}

// Selective is implemented by a Handler that has no use for some messages. It
// need not get them, which is cheaper; of those that it does get, some may be
// of that kind all the same.
type Selective interface {
	// Wants reports whether Handle is to get a message. It may be called from
	// several goroutines, must not block, and depends on the message alone.
	Wants(m Message) bool
}

// WantsOf returns h's Wants; a Handler that is not Selective wants everything.
func WantsOf(h Handler) func(m Message) bool {
	if s, ok := h.(Selective); ok {
		return s.Wants
	}
	return func(Message) bool { return true }
}

// DeadLetter is a message that a group's handler refused too often.
type DeadLetter struct {
	Group   string
	Message Message
	Reason  string
	At      time.Time
}

// PartitionOf returns the partition, from 0 to n-1, of everything that must
// keep its order under key.
func PartitionOf(key string, n int) int {
	if n <= 1 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % uint32(n)) //nolint:gosec // n is positive and small.
}
