package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

const agentColumns = `id, space, name, created_at, removed_at, paused_at, paused_by, last_seen_at,
	instance, instance_seen_at, version, commands`

var (
	agentQuery = newQuery(`SELECT ` + agentColumns + ` FROM agents INDEXED BY agents_name
		WHERE space = ? AND name = ? AND removed_at = 0`)

	agentsQuery = newQuery(`SELECT ` + agentColumns + ` FROM agents INDEXED BY agents_name
		WHERE space = ? AND removed_at = 0 ORDER BY name`)

	createAgentQuery = newQuery(`INSERT INTO agents (` + agentColumns + `)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (space, name) WHERE removed_at = 0 DO NOTHING`)

	removeAgentQuery = newQuery(`UPDATE agents SET removed_at = ? WHERE space = ? AND name = ? AND removed_at = 0`)

	pauseAgentQuery = newQuery(`UPDATE agents SET paused_at = ?, paused_by = ?
		WHERE space = ? AND name = ? AND removed_at = 0`)

	saveAgentQuery = newQuery(`UPDATE agents SET instance = ?, instance_seen_at = ?, version = ?, commands = ?, last_seen_at = ?
		WHERE id = ? AND removed_at = 0`)

	seenQuery = newQuery(`UPDATE agents SET last_seen_at = ?1 WHERE id = ?2 AND removed_at = 0 AND last_seen_at < ?1`)
)

// agentRow is a row of agents while it is read.
type agentRow struct {
	a                                            job.Agent
	created, removed, paused, seen, instanceSeen int64
	commands                                     string
	into                                         []any
}

func (r *agentRow) dest() []any {
	if r.into == nil {
		r.into = []any{
			&r.a.ID, &r.a.Space, &r.a.Name, &r.created, &r.removed, &r.paused, &r.a.PausedBy, &r.seen,
			&r.a.Instance, &r.instanceSeen, &r.a.Version, &r.commands,
		}
	}
	return r.into
}

func (r *agentRow) agent() (job.Agent, error) {
	a := r.a
	a.CreatedAt, a.RemovedAt, a.PausedAt = timeOf(r.created), timeOf(r.removed), timeOf(r.paused)
	a.LastSeenAt, a.InstanceSeenAt = timeOf(r.seen), timeOf(r.instanceSeen)
	a.Commands = nil
	if r.commands != "" {
		if err := json.Unmarshal([]byte(r.commands), &a.Commands); err != nil {
			return a, fmt.Errorf("agent %s: read its commands: %w", a.Name, err)
		}
	}
	return a, nil
}

func commandsText(commands []job.Command) (string, error) {
	if commands == nil {
		return "", nil
	}
	var text strings.Builder
	if err := plainJSON(&text, commands); err != nil {
		return "", err
	}
	return text.String(), nil
}

// copyAgent returns a copy to hand out, or nil.
func copyAgent(a *job.Agent) *job.Agent {
	if a == nil {
		return nil
	}
	c := *a
	c.Commands = slices.Clone(a.Commands)
	return &c
}

// CreateAgent implements job.Store.
func (s *Store) CreateAgent(ctx context.Context, a job.Agent) error {
	commands, err := commandsText(a.Commands)
	if err != nil {
		return err
	}
	return s.write.do(ctx, &work{rows: 1, do: func(t *tx) error {
		n, err := t.exec(createAgentQuery, a.ID, a.Space, a.Name, micros(a.CreatedAt), micros(a.RemovedAt),
			micros(a.PausedAt), a.PausedBy, micros(a.LastSeenAt), a.Instance, micros(a.InstanceSeenAt), a.Version, commands)
		if err == nil && n == 0 {
			return refuse(job.ErrExists)
		}
		delete(t.w.state.agents, agentKey{a.Space, a.Name})
		return err
	}})
}

// Agent implements job.Store.
func (s *Store) Agent(ctx context.Context, space, name string) (job.Agent, error) {
	var r agentRow
	found, err := s.read.row(ctx, agentQuery, []any{space, name}, r.dest()...)
	if err == nil && !found {
		err = noAgentError{}
	}
	if err != nil {
		return job.Agent{}, err
	}
	return r.agent()
}

// Agents implements job.Store.
func (s *Store) Agents(ctx context.Context, space string) (agents []job.Agent, err error) {
	rows, err := s.read.query(ctx, agentsQuery, space)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.read.explain(rows.Close())) }()
	var r agentRow
	for rows.Next() {
		if err := rows.Scan(r.dest()...); err != nil {
			return nil, s.read.explain(err)
		}
		a, err := r.agent()
		if err != nil {
			return nil, err
		}
		agents = append(agents, a)
	}
	return agents, s.read.explain(rows.Err())
}

// RemoveAgent implements job.Store. An agent that is not there is both
// job.ErrNotFound and job.ErrUnknownAgent.
func (s *Store) RemoveAgent(ctx context.Context, space, name string) error {
	return s.changeAgent(ctx, space, name, removeAgentQuery, func() []any { return []any{micros(s.now())} })
}

// PauseAgent implements job.Store.
func (s *Store) PauseAgent(ctx context.Context, space, name, by string) error {
	return s.changeAgent(ctx, space, name, pauseAgentQuery, func() []any {
		if by == "" {
			return []any{int64(0), ""}
		}
		return []any{micros(s.now()), by}
	})
}

func (s *Store) changeAgent(ctx context.Context, space, name string, q *query, values func() []any) error {
	return s.write.do(ctx, &work{rows: 1, do: func(t *tx) error {
		delete(t.w.state.agents, agentKey{space, name})
		n, err := t.exec(q, append(values(), space, name)...)
		if err == nil && n == 0 {
			return refuse(noAgentError{})
		}
		return err
	}})
}

// SaveAgent implements job.Store. For an agent that was removed, or never was,
// it answers job.ErrAgentRemoved.
func (s *Store) SaveAgent(ctx context.Context, a job.Agent) error {
	commands, err := commandsText(a.Commands)
	if err != nil {
		return err
	}
	return s.write.do(ctx, &work{rows: 1, do: func(t *tx) error {
		t.forgetAgent(a.ID)
		n, err := t.exec(saveAgentQuery, a.Instance, micros(a.InstanceSeenAt), a.Version, commands, micros(a.LastSeenAt), a.ID)
		if err == nil && n == 0 {
			return refuse(job.ErrAgentRemoved)
		}
		return err
	}})
}

// seenBatch is how many agents are seen in one transaction, so that others
// get their turn.
const seenBatch = 500

// Seen implements job.Store.
func (s *Store) Seen(ctx context.Context, ids []string, at time.Time) error {
	ids = slices.Clone(ids) // the caller may leave before it is done
	for batch := range slices.Chunk(ids, seenBatch) {
		err := s.write.do(ctx, &work{rows: len(batch), do: func(t *tx) error {
			for _, id := range batch {
				t.forgetAgent(id)
				if _, err := t.exec(seenQuery, micros(at), id); err != nil {
					return err
				}
			}
			return nil
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetAgent makes the writer read the agent with this ID again.
func (t *tx) forgetAgent(id string) {
	if key, known := t.w.state.agentKeys[id]; known {
		delete(t.w.state.agents, key)
		delete(t.w.state.agentKeys, id)
	}
}
