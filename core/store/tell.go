package store

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// pendingEvent is an event of the transaction that is not inserted yet.
type pendingEvent struct {
	event job.Event
	// conversation is the column's text.
	conversation string
}

// numberedEvent is an event with its number in the outbox.
type numberedEvent struct {
	seq   int64
	event job.Event
}

// The kinds as events.kind has them.
const (
	kindMessage   = 1
	kindJobStatus = 2
)

// ofJob in events.conversation means the conversation of the event's job, so
// that it is stored once.
const ofJob = "job"

// tell has the events inserted with the transaction. j is the job that they
// are about, or nil.
func (t *tx) tell(j *job.Job, events []job.Event) error {
	for _, e := range events {
		p := pendingEvent{event: e}
		switch {
		case e.Conversation == nil:
		case j != nil && e.Subject == j.ID && sameConversation(e.Conversation, j.Conversation):
			p.conversation = ofJob
		default:
			text, err := conversationText(e.Conversation)
			if err != nil {
				return err
			}
			p.conversation = text
		}
		if j != nil && e.Subject == j.ID {
			p.event.Agent, p.event.Num = j.Agent, j.Num
		}
		p.event.At, p.event.AgentSeenAt = timeOf(micros(e.At)), timeOf(micros(e.AgentSeenAt))
		t.events = append(t.events, p)
	}
	return nil
}

func sameConversation(a, b *chat.ConversationRef) bool {
	return a == b || a != nil && b != nil &&
		a.Account == b.Account && a.Channel == b.Channel && a.Key == b.Key && bytes.Equal(a.Data, b.Data)
}

var (
	insertStatusQueries = newChunks(`INSERT INTO events
		(subject, version, space, kind, at, agent, num, status, reason, by_whom, conversation) VALUES `, 11)

	insertEventQuery = newQuery(`INSERT INTO events
		(subject, version, space, kind, at, agent, num, status, reason, by_whom, conversation,
			agent_seen_at, text, mention, refused) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)

	insertUnpublishedQueries = newChunks(`INSERT INTO unpublished (seq, subject, version) VALUES `, 3)

	insertUntoldQuery = newQuery(`INSERT INTO untold (account, key, seq, subject, version) VALUES (?, ?, ?, ?, ?)`)

	openConversationQuery = newQuery(`INSERT INTO conversations (account, key, first) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET first = excluded.first WHERE first = 0`)
)

// insertEvents inserts the transaction's events and what is left to do about
// them.
func (t *tx) insertEvents() error {
	if len(t.events) == 0 {
		return nil
	}
	seq, err := t.w.state.take(t, int64(len(t.events)))
	if err != nil {
		return err
	}
	status := make([]any, 0, 11*len(t.events))
	unpublished := make([]any, 0, 3*len(t.events))
	t.written = make([]numberedEvent, len(t.events))
	for i := range t.events {
		p := &t.events[i]
		seq++
		t.written[i] = numberedEvent{seq, p.event}
		unpublished = append(unpublished, seq, p.event.Subject, p.event.Version)
		args := p.columns()
		if len(args) == 11 {
			status = append(status, args...)
		} else if _, err := t.exec(insertEventQuery, args...); err != nil {
			return fmt.Errorf("write event %s: %w", p.event.ID(), err)
		}
		if err := t.open(p, seq); err != nil {
			return err
		}
	}
	if err := insertStatusQueries.exec(t, status); err != nil {
		return err
	}
	return insertUnpublishedQueries.exec(t, unpublished)
}

// columns returns the values of an event's columns, without the last ones if
// they are empty.
func (p *pendingEvent) columns() []any {
	e := &p.event
	kind := int64(kindMessage)
	if e.Kind == job.EventJobStatus {
		kind = kindJobStatus
	}
	args := make([]any, 0, 15)
	args = append(args, e.Subject, e.Version, e.Space, kind, micros(e.At), e.Agent, e.Num,
		string(e.Status), string(e.Reason), e.By, p.conversation)
	if e.AgentSeenAt.IsZero() && e.Text == "" && e.Mention == nil && !e.Refused {
		return args
	}
	var mention strings.Builder
	if e.Mention != nil {
		_ = plainJSON(&mention, e.Mention) // strings always can
	}
	var refused int64
	if e.Refused {
		refused = 1
	}
	return append(args, micros(e.AgentSeenAt), e.Text, mention.String(), refused)
}

// open notes that the event is to be told.
func (t *tx) open(p *pendingEvent, seq int64) error {
	c := p.event.Conversation
	if c == nil {
		return nil
	}
	if _, err := t.exec(insertUntoldQuery, c.Account, c.Key, seq, p.event.Subject, p.event.Version); err != nil {
		return err
	}
	_, err := t.exec(openConversationQuery, c.Account, c.Key, seq)
	return err
}
