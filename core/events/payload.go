package events

import (
	"encoding/json"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
)

// eventVersion is the agentapi.Event.V of what this program writes.
const eventVersion = 1

// Payload is the JSON in queue.Message.Data: the event as the API shows it,
// and where it is to be told, which the API does not show.
type Payload struct {
	agentapi.Event
	Conversation *queue.Conversation `json:"conversation,omitempty"`
}

// message returns an event as the queue carries it. Events of a conversation
// share a partition, and so do events of a job without one.
func message(e job.Event, partitions int) (queue.Message, error) {
	p := Payload{Event: Public(e)}
	m := queue.Message{ID: p.ID, Space: e.Space, Kind: string(e.Kind)}
	if c := e.Conversation; c != nil {
		p.Conversation = &queue.Conversation{Account: c.Account, Channel: c.Channel, Key: c.Key}
		m.Conversation = p.Conversation
		m.Partition = PartitionOf(c.Account, c.Key, partitions)
	} else {
		m.Partition = queue.PartitionOf(e.Subject, partitions)
	}
	var err error
	m.Data, err = p.encode()
	return m, err
}

// encode writes what json.Marshal would, faster.
func (p *Payload) encode() ([]byte, error) {
	b := p.AppendJSON(make([]byte, 0, 320))
	if p.Conversation == nil {
		return b, nil
	}
	where, err := json.Marshal(p.Conversation)
	if err != nil {
		return nil, err
	}
	b = append(b[:len(b)-1], `,"conversation":`...)
	return append(append(b, where...), '}'), nil
}

// Public returns an event as the API shows it.
func Public(e job.Event) agentapi.Event {
	p := agentapi.Event{
		ID: e.ID(), Kind: string(e.Kind), At: e.At, Agent: e.Agent,
		Status: string(e.Status), Reason: string(e.Reason), By: e.By, Text: e.Text, V: eventVersion,
	}
	if e.Version > 0 || e.Kind == job.EventCopy {
		p.Job, p.Version = e.JobID(), e.Version
	}
	if e.Num > 0 {
		p.Code = job.EncodeCode(e.Num)
	}
	return p
}
