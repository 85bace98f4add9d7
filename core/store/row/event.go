package row

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// The kinds as events.kind has them. One of the third is an EventMessage that
// shows a job's output; which page is in events.reason.
const (
	kindMessage   = 1
	kindJobStatus = 2
	kindOutput    = 3
	kindCopy      = 4
)

// ofJob in events.conversation means the conversation of the event's job, so
// that it is stored once.
const ofJob = "job"

// EventColumns are the columns of an event in the order of Event.Dest, for a
// query that calls the table e and has JoinJob.
const EventColumns = `e.subject, e.version, e.space, e.kind, e.at, e.agent, e.num, e.status, e.reason, e.by_whom,
	CASE WHEN e.conversation = '` + ofJob + `' THEN coalesce(j.conversation, '') ELSE e.conversation END,
	e.agent_seen_at, e.text, e.mention, e.refused`

// JoinJob adds an event's job, whose conversation it may have.
const JoinJob = ` LEFT JOIN jobs j ON j.num = e.num AND j.id = e.subject `

// Event is a row of events while it is read.
type Event struct {
	event                                 job.Event
	kind, at, seen, refused               int64
	status, reason, conversation, mention string
	into                                  []any
}

// Dest returns where to scan a row to. The row may be scanned into again.
func (r *Event) Dest() []any {
	if r.into == nil {
		e := &r.event
		r.into = []any{
			&e.Subject, &e.Version, &e.Space, &r.kind, &r.at, &e.Agent, &e.Num, &r.status, &r.reason, &e.By,
			&r.conversation, &r.seen, &e.Text, &r.mention, &r.refused,
		}
	}
	return r.into
}

// Read returns the event that was scanned.
func (r *Event) Read() (job.Event, error) {
	e := r.event
	e.Kind = job.EventMessage
	switch r.kind {
	case kindJobStatus:
		e.Kind = job.EventJobStatus
	case kindCopy:
		e.Kind = job.EventCopy
	}
	e.At, e.AgentSeenAt = Time(r.at), Time(r.seen)
	e.Status, e.Reason = Status(r.status), job.Reason(r.reason)
	e.Refused = r.refused != 0
	var err error
	e.Output = 0
	if r.kind == kindOutput {
		if e.Output, err = strconv.Atoi(r.reason); err != nil {
			return e, fmt.Errorf("event %s: read which page it shows: %w", e.ID(), err)
		}
		e.Reason = ""
	}
	if e.Conversation, err = Conversation(r.conversation); err != nil {
		return e, fmt.Errorf("event %s: %w", e.ID(), err)
	}
	e.Mention = nil
	if r.mention != "" {
		e.Mention = new(chat.Sender)
		if err := json.Unmarshal([]byte(r.mention), e.Mention); err != nil {
			return e, fmt.Errorf("event %s: read whom it mentions: %w", e.ID(), err)
		}
	}
	return e, nil
}

// Events reads and closes rows of EventColumns.
func Events(from Cursor) (events []job.Event, err error) {
	var r Event
	var failed error
	err = Each(from, r.Dest(), func() {
		e, err := r.Read()
		if err != nil {
			failed = err
		}
		events = append(events, e)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return events, nil
}

// NewEvent is an event that a transaction writes.
type NewEvent struct {
	job.Event
	// Seq is its number in the outbox, for the database to set.
	Seq int64
	// Where is the text of events.conversation.
	Where string
}

// Tell makes rows of the events that a change causes. j is the job that they
// are about, or nil.
func Tell(j *job.Job, events []job.Event) ([]*NewEvent, error) {
	told := make([]*NewEvent, len(events))
	for i := range events {
		e := &NewEvent{Event: events[i]}
		about := j != nil && e.Subject == j.ID
		switch {
		case e.Conversation == nil:
		case about && SameConversation(e.Conversation, j.Conversation):
			e.Where = ofJob
		default:
			text, err := ConversationText(e.Conversation)
			if err != nil {
				return nil, err
			}
			e.Where = text
		}
		if about {
			e.Agent, e.Num = j.Agent, j.Num
		}
		e.At, e.AgentSeenAt = Time(Micros(e.At)), Time(Micros(e.AgentSeenAt))
		told[i] = e
	}
	return told, nil
}

// PlainEventColumns are the columns that every event has, in the order of
// NewEvent.Columns; RareEventColumns are the others, in that of NewEvent.Rare.
const (
	PlainEventColumns = `subject, version, space, kind, at, agent, num, status, reason, by_whom, conversation`
	RareEventColumns  = `agent_seen_at, text, mention, refused`

	PlainEventWidth = 11
	RareEventWidth  = 4
)

// IsPlain reports whether the event has nothing in RareEventColumns.
func (e *NewEvent) IsPlain() bool {
	return e.AgentSeenAt.IsZero() && e.Text == "" && e.Mention == nil && !e.Refused
}

// Columns appends the values of PlainEventColumns.
func (e *NewEvent) Columns(args []any) []any {
	kind, reason := int64(kindMessage), string(e.Reason)
	switch {
	case e.Kind == job.EventJobStatus:
		kind = kindJobStatus
	case e.Kind == job.EventCopy:
		kind = kindCopy
	case e.Output != 0:
		kind, reason = kindOutput, strconv.Itoa(e.Output)
	}
	return append(args, e.Subject, e.Version, e.Space, kind, Micros(e.At), e.Agent, e.Num,
		string(e.Status), reason, e.By, e.Where)
}

// Rare appends the values of RareEventColumns.
func (e *NewEvent) Rare(args []any) []any {
	var mention strings.Builder
	if e.Mention != nil {
		_ = PlainJSON(&mention, e.Mention) // strings always can
	}
	var refused int64
	if e.Refused {
		refused = 1
	}
	return append(args, Micros(e.AgentSeenAt), e.Text, mention.String(), refused)
}
