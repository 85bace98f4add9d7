package events

import (
	"bytes"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// step is one message to send: one text, or the newest status of one job.
type step struct {
	// events are told by the message, the oldest first.
	events []job.Event
	// newest is what it shows; overtaken ones stand in the job's history.
	newest job.Event
	// late says that it has waited for another message than the one it answers.
	late bool
}

// holdTimes says how long a status that is not final waits for the next one,
// so that a job which is done at once is told in one message.
type holdTimes struct {
	edit  time.Duration // where the message is edited later
	plain time.Duration // where each status is another message
}

// defaultHolds keep a chat calm without looking slow.
func defaultHolds() holdTimes {
	return holdTimes{edit: 250 * time.Millisecond, plain: 5 * time.Second}
}

// plan decides what to tell now of a conversation's open events, in order, and
// when to look again for what is held back (0: nothing is).
//
// Statuses of one job that stand between two texts become one step with the
// newest of them. A text is told after everything before it, except that
// where messages cannot be edited a held status lets texts pass.
func plan(open []job.Event, late map[string]bool, caps chat.Capabilities, holds holdTimes, now time.Time) (steps []step, again time.Duration) {
	var p planner
	for _, e := range open {
		if e.Kind == job.EventJobStatus {
			p.add(e)
			continue
		}
		p.tell(func(s step) bool {
			return s.newest.Status.Final() || within(caps, e.Conversation).Edit && sameExchange(s.newest.Conversation, e.Conversation)
		})
		p.steps = append(p.steps, step{events: []job.Event{e}, newest: e})
	}
	p.tell(func(s step) bool {
		wait := holds.left(s.newest, within(caps, s.newest.Conversation), now)
		if wait > 0 && (again == 0 || wait < again) {
			again = wait
		}
		return wait == 0
	})
	for i := range p.steps {
		p.steps[i].late = late[p.steps[i].newest.ID()]
	}
	return p.steps, again
}

// sameExchange reports whether two events are told in the same place in every
// respect, so that one may be about the other.
func sameExchange(a, b *chat.ConversationRef) bool {
	return a == b || a != nil && b != nil && a.Key == b.Key && bytes.Equal(a.Data, b.Data)
}

// left is how much longer the status is held back.
func (h holdTimes) left(e job.Event, caps chat.Capabilities, now time.Time) time.Duration {
	if e.Status.Final() {
		return 0
	}
	hold := h.plain
	if caps.Edit {
		hold = h.edit
	}
	age := now.Sub(e.At)
	if age < 0 || age >= hold { // A clock that disagrees holds nothing back.
		return 0
	}
	return hold - age
}

// planner collects statuses by job until they are told.
type planner struct {
	steps   []step
	pending []step // in the order of their jobs' first event
}

func (p *planner) add(e job.Event) {
	for i := range p.pending {
		s := &p.pending[i]
		if s.newest.Subject != e.Subject {
			continue
		}
		s.events = append(s.events, e)
		if e.Version > s.newest.Version {
			s.newest = e
		}
		return
	}
	p.pending = append(p.pending, step{events: []job.Event{e}, newest: e})
}

// tell moves the pending steps that are due to the plan.
func (p *planner) tell(due func(step) bool) {
	var kept []step
	for _, s := range p.pending {
		if due(s) {
			p.steps = append(p.steps, s)
		} else {
			kept = append(kept, s)
		}
	}
	p.pending = kept
}
