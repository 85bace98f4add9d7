package events

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// within returns what the channel can do in a conversation: where that has a
// quota, nothing is edited and nothing shown live.
func within(caps chat.Capabilities, to *chat.ConversationRef) chat.Capabilities {
	if to != nil && to.Quota != nil {
		caps.Edit, caps.Append, caps.LiveInterval = false, false, 0
	}
	return caps
}

// allowance is how many messages may answer one message in the conversation.
func allowance(caps chat.Capabilities, to *chat.ConversationRef) int {
	switch {
	case to.Quota != nil:
		return to.Quota.Messages - shareOfLate(to.Quota)
	case caps.ReplyQuota > 0:
		return caps.ReplyQuota
	}
	return math.MaxInt
}

// room returns how many new messages may tell an event.
func (s *server) room(ctx context.Context, e job.Event) (int, error) {
	if s.late {
		return 1, nil
	}
	total := allowance(s.caps, e.Conversation)
	if total == math.MaxInt || e.Version == 0 { // what belongs to no job is the only answer to its message
		return total, nil
	}
	history, err := s.cfg.Jobs.History(ctx, e.Space, e.Subject)
	if err != nil {
		return 0, fmt.Errorf("%w: reading the history of job %s: %w", errStore, e.Subject, err)
	}
	return roomFor(e, history, total, s.caps.MaxBytes), nil
}

// roomFor returns what the earlier events of its job leave for an event, of
// all the messages that may answer the one that made the job. It goes by what
// those took at most, so that nothing needs to be counted. Until the job has
// ended, one message is kept back for that.
func roomFor(e job.Event, history []job.Event, total, maxBytes int) int {
	left, kept, begun := total, 1, false
	for _, h := range history {
		switch {
		case h.Version >= e.Version || h.Conversation == nil:
		case h.Kind == job.EventMessage:
			if n := min(left-kept, maxPieces); n > 0 {
				left -= len(pieces(h.Text, maxBytes, n))
			}
		case h.Status.Final():
			left--
			kept = 0
		case !begun && left > kept:
			left--
			begun = true
		}
	}
	if e.Status.Final() {
		kept = 0
	}
	return left - kept
}

// spent is why an event is given up that the conversation has no room for.
func (s *server) spent(to *chat.ConversationRef) error {
	return &chat.SendError{Class: chat.Permanent, Err: fmt.Errorf(
		"no more than %d messages may answer one message there", allowance(s.caps, to))}
}

// inTime returns why a message cannot be sent any more, if the conversation
// took some for a time only.
func inTime(to chat.ConversationRef, now time.Time) error {
	if to.Quota == nil || to.Quota.Until.IsZero() || now.Before(to.Quota.Until) {
		return nil
	}
	return &chat.SendError{Class: chat.Shut, Err: fmt.Errorf(
		"the message could be answered until %s only", to.Quota.Until.UTC().Format(time.RFC3339))}
}
