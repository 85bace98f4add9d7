package row

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/letserverrun/skadi/core/job"
)

// AgentColumns are the columns of agents in the order of Agent.Dest.
const AgentColumns = `id, space, name, created_at, removed_at, paused_at, paused_by, last_seen_at,
	instance, instance_seen_at, version, commands`

// Agent is a row of agents while it is read.
type Agent struct {
	a                                            job.Agent
	created, removed, paused, seen, instanceSeen int64
	commands                                     string
	into                                         []any
}

// Dest returns where to scan a row to. The row may be scanned into again.
func (r *Agent) Dest() []any {
	if r.into == nil {
		r.into = []any{
			&r.a.ID, &r.a.Space, &r.a.Name, &r.created, &r.removed, &r.paused, &r.a.PausedBy, &r.seen,
			&r.a.Instance, &r.instanceSeen, &r.a.Version, &r.commands,
		}
	}
	return r.into
}

// Read returns the agent that was scanned.
func (r *Agent) Read() (job.Agent, error) {
	a := r.a
	a.CreatedAt, a.RemovedAt, a.PausedAt = Time(r.created), Time(r.removed), Time(r.paused)
	a.LastSeenAt, a.InstanceSeenAt = Time(r.seen), Time(r.instanceSeen)
	a.Commands = nil
	if r.commands != "" {
		if err := json.Unmarshal([]byte(r.commands), &a.Commands); err != nil {
			return a, fmt.Errorf("agent %s: read its commands: %w", a.Name, err)
		}
	}
	return a, nil
}

// Agents reads and closes rows of AgentColumns.
func Agents(from Cursor) (agents []job.Agent, err error) {
	var r Agent
	var failed error
	err = Each(from, r.Dest(), func() {
		a, err := r.Read()
		if err != nil {
			failed = err
		}
		agents = append(agents, a)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return agents, nil
}

// AgentArgs returns the values of AgentColumns.
func AgentArgs(a *job.Agent) ([]any, error) {
	commands, err := CommandsText(a.Commands)
	if err != nil {
		return nil, err
	}
	return []any{
		a.ID, a.Space, a.Name, Micros(a.CreatedAt), Micros(a.RemovedAt), Micros(a.PausedAt), a.PausedBy,
		Micros(a.LastSeenAt), a.Instance, Micros(a.InstanceSeenAt), a.Version, commands,
	}, nil
}

// CopyAgent returns a copy to hand out, or nil.
func CopyAgent(a *job.Agent) *job.Agent {
	if a == nil {
		return nil
	}
	c := *a
	c.Commands = slices.Clone(a.Commands)
	return &c
}

// NoAgentError is job.ErrUnknownAgent and job.ErrNotFound in one.
type NoAgentError struct{}

func (NoAgentError) Error() string { return job.ErrUnknownAgent.Error() }

// Is makes it both.
func (NoAgentError) Is(target error) bool {
	return target == job.ErrUnknownAgent || target == job.ErrNotFound
}
