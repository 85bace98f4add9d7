package events

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

const (
	// lateLook is how often the database shows a conversation in which something
	// waits. A message there is seen at once all the same.
	lateLook = time.Minute
	// maxLate bounds what waits in a conversation; the oldest is given up.
	maxLate = 100
)

// renews reports whether what cannot be said any more in answer to one message
// waits for the next.
func renews(to *chat.ConversationRef) bool { return to != nil && to.Quota != nil && to.Quota.Renews }

// shareOfLate is how many of a quota's messages are kept for what has waited, so
// that it takes nothing from what answers the message itself.
func shareOfLate(q *chat.Quota) int {
	switch {
	case !q.Renews || q.Messages < 3:
		return 0
	case q.Messages < 5:
		return 1
	}
	return 2
}

// waiting is what the open events of a conversation come to where its quota
// renews.
type waiting struct {
	// due are the events to tell. Late ones among them have the reference of the
	// message that they are told in answer to.
	due  []job.Event
	late map[string]bool // by event
	// dropped are statuses of jobs that went on since, which are not worth
	// waiting for.
	dropped []job.Event
	// held wait, oldest first.
	held []job.Event
}

// waiting sorts the open events. It lets events of conversations that do not
// renew through as they are.
func (s *server) waiting(open []job.Event) waiting {
	s.lookAhead(open)
	door := s.door(open)
	left := 0
	if door != nil {
		left = shareOfLate(door.Quota)
		if s.c.lateIn != nil && sameMessage(s.c.lateIn, door) {
			left -= s.c.lateTold
		}
	}
	var w waiting
	for _, e := range open {
		switch {
		case !s.shut(e.Conversation):
			w.due = append(w.due, e)
		case e.Kind == job.EventJobStatus && !e.Status.Final():
			w.dropped = append(w.dropped, e)
		case left > 0:
			left--
			e.Conversation = door
			w.due = append(w.due, e)
			if w.late == nil {
				w.late = make(map[string]bool)
			}
			w.late[e.ID()] = true
		default:
			w.held = append(w.held, e)
		}
	}
	if s.c.held = len(w.held) > 0; !s.c.held && len(w.late) == 0 {
		s.c.shut, s.c.lateIn, s.c.lateTold = nil, nil, 0
	}
	return w
}

// settle records what is told to nobody: what was dropped, and the oldest of
// what waits where that is too much.
func (s *server) settle(ctx context.Context, w waiting) error {
	if len(w.dropped) > 0 {
		if err := s.record(ctx, Delivery{Conversation: s.name(), Events: w.dropped}); err != nil {
			return err
		}
	}
	over := len(w.held) - maxLate
	if over <= 0 {
		return nil
	}
	return s.record(ctx, Delivery{
		Conversation: s.name(), Events: w.held[:over],
		Dead: fmt.Sprintf("no more than %d messages wait until somebody writes there", maxLate),
	})
}

// door returns the newest reference under which something may be said, if the
// quota there renews.
func (s *server) door(open []job.Event) *chat.ConversationRef {
	for i := len(open) - 1; i >= 0; i-- {
		if to := open[i].Conversation; renews(to) && !s.shut(to) {
			return to
		}
	}
	return nil
}

// shut reports whether nothing can be said under the reference any more, and
// what is left waits.
func (s *server) shut(to *chat.ConversationRef) bool {
	if !renews(to) {
		return false
	}
	if inTime(*to, s.clock()) != nil {
		return true
	}
	for i := range s.c.shut {
		if sameMessage(&s.c.shut[i], to) {
			return true
		}
	}
	return false
}

// sameMessage reports whether two references are those of one message.
func sameMessage(a, b *chat.ConversationRef) bool {
	return a.Key == b.Key && bytes.Equal(a.Data, b.Data) && a.Quota.Until.Equal(b.Quota.Until)
}

// toldLate counts what was told late.
func (s *server) toldLate(st step) {
	if !st.late {
		return
	}
	to := st.newest.Conversation
	if s.c.lateIn == nil || !sameMessage(s.c.lateIn, to) {
		s.c.lateIn, s.c.lateTold = to, 0
	}
	s.c.lateTold++
}

// lookAhead notes which jobs of the conversation are still to end, and which
// message there is the newest.
func (s *server) lookAhead(open []job.Event) {
	for _, e := range open {
		to := e.Conversation
		if !renews(to) {
			continue
		}
		if s.c.newest == nil || to.Quota.Until.After(s.c.newest.Quota.Until) {
			s.c.newest, s.c.used = to, 0
		}
		if e.Kind != job.EventJobStatus || e.Status.Final() {
			continue
		}
		if s.c.ahead == nil {
			s.c.ahead = make(map[string]bool)
		}
		s.c.ahead[e.Subject] = true
	}
}

// crowded reports whether a status on the way would take a message from the end
// of a job, of this one or another: the far side counts since the newest message,
// whatever is answered.
func (s *server) crowded(to *chat.ConversationRef) bool {
	if !renews(to) {
		return false
	}
	return s.c.used+1+len(s.c.ahead)+shareOfLate(to.Quota) > to.Quota.Messages
}

// leave has the database show the conversation less often while something waits
// in it. An error of that is none of the conversation's.
func (s *server) leave(ctx context.Context) {
	s.park(ctx, s.c, lateLook, fmt.Sprintf("%s: until somebody writes there", chat.Shut))
}
