package sqlite

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// eventColumns are the columns of an event in the order of eventRow.dest, for
// a query with fromEvents.
const eventColumns = `e.subject, e.version, e.space, e.kind, e.at, e.agent, e.num, e.status, e.reason, e.by_whom,
	iif(e.conversation = 'job', coalesce(j.conversation, ''), e.conversation),
	e.agent_seen_at, e.text, e.mention, e.refused`

// joinJob adds an event's job, whose conversation it may have.
const joinJob = ` LEFT JOIN jobs j ON j.num = e.num AND j.id = e.subject `

// eventRow is a row of events while it is read.
type eventRow struct {
	event                                 job.Event
	kind, at, seen, refused               int64
	status, reason, conversation, mention string
	into                                  []any
}

func (r *eventRow) dest() []any {
	if r.into == nil {
		e := &r.event
		r.into = []any{
			&e.Subject, &e.Version, &e.Space, &r.kind, &r.at, &e.Agent, &e.Num, &r.status, &r.reason, &e.By,
			&r.conversation, &r.seen, &e.Text, &r.mention, &r.refused,
		}
	}
	return r.into
}

func (r *eventRow) read() (job.Event, error) {
	e := r.event
	e.Kind = job.EventMessage
	if r.kind == kindJobStatus {
		e.Kind = job.EventJobStatus
	}
	e.At, e.AgentSeenAt = timeOf(r.at), timeOf(r.seen)
	e.Status, e.Reason = statusOf(r.status), job.Reason(r.reason)
	e.Refused = r.refused != 0
	var err error
	if e.Conversation, err = conversationOf(r.conversation); err != nil {
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

// readEvents reads and closes rows of eventColumns.
func readEvents(from rows) (events []job.Event, err error) {
	var r eventRow
	var failed error
	err = eachRow(from, r.dest(), func() {
		e, err := r.read()
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
