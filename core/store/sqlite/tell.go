package sqlite

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// outboxEvent is an event that a transaction writes.
type outboxEvent struct {
	job.Event
	seq int64 // its number in the outbox
	// where is the text of events.conversation.
	where string
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
	for i := range events {
		e := &outboxEvent{Event: events[i]}
		about := j != nil && e.Subject == j.ID
		switch {
		case e.Conversation == nil:
		case about && sameConversation(e.Conversation, j.Conversation):
			e.where = ofJob
		default:
			text, err := conversationText(e.Conversation)
			if err != nil {
				return err
			}
			e.where = text
		}
		if about {
			e.Agent, e.Num = j.Agent, j.Num
		}
		e.At, e.AgentSeenAt = timeOf(micros(e.At)), timeOf(micros(e.AgentSeenAt))
		t.events = append(t.events, e)
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
	args := t.args[:0]
	for _, e := range t.events {
		seq++
		e.seq = seq
		args = append(args, seq, e.Subject, e.Version)
	}
	if err := insertUnpublishedQueries.exec(t, args); err != nil {
		return err
	}
	args = args[:0]
	for _, e := range t.events {
		if e.isPlain() {
			args = e.columns(args)
		}
	}
	t.args = args
	if err := insertStatusQueries.exec(t, args); err != nil {
		return err
	}
	for _, e := range t.events {
		if !e.isPlain() {
			if err := t.insertEvent(e); err != nil {
				return err
			}
		}
		if err := t.open(e); err != nil {
			return err
		}
	}
	return nil
}

// isPlain reports whether the last columns are empty.
func (e *outboxEvent) isPlain() bool {
	return e.AgentSeenAt.IsZero() && e.Text == "" && e.Mention == nil && !e.Refused
}

// columns appends the values of the columns but the last ones.
func (e *outboxEvent) columns(args []any) []any {
	kind := int64(kindMessage)
	if e.Kind == job.EventJobStatus {
		kind = kindJobStatus
	}
	return append(args, e.Subject, e.Version, e.Space, kind, micros(e.At), e.Agent, e.Num,
		string(e.Status), string(e.Reason), e.By, e.where)
}

func (t *tx) insertEvent(e *outboxEvent) error {
	var mention strings.Builder
	if e.Mention != nil {
		_ = plainJSON(&mention, e.Mention) // strings always can
	}
	var refused int64
	if e.Refused {
		refused = 1
	}
	args := append(e.columns(t.args[:0]), micros(e.AgentSeenAt), e.Text, mention.String(), refused)
	t.args = args
	if _, err := t.exec(insertEventQuery, args...); err != nil {
		return fmt.Errorf("write event %s: %w", e.ID(), err)
	}
	return nil
}

// open notes that the event is to be told.
func (t *tx) open(e *outboxEvent) error {
	c := e.Conversation
	if c == nil {
		return nil
	}
	if _, err := t.exec(insertUntoldQuery, c.Account, c.Key, e.seq, e.Subject, e.Version); err != nil {
		return err
	}
	_, err := t.exec(openConversationQuery, c.Account, c.Key, e.seq)
	return err
}
