package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

var (
	agentQuery = newQuery(`SELECT ` + row.AgentColumns + ` FROM agents INDEXED BY agents_name
		WHERE space = ? AND name = ? AND removed_at = 0`)

	agentsQuery = newQuery(`SELECT ` + row.AgentColumns + ` FROM agents INDEXED BY agents_name
		WHERE space = ? AND removed_at = 0 ORDER BY name`)

	createAgentQuery = newQuery(`INSERT INTO agents (` + row.AgentColumns + `)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (space, name) WHERE removed_at = 0 DO NOTHING`)

	removeAgentQuery = newQuery(`UPDATE agents SET removed_at = ? WHERE space = ? AND name = ? AND removed_at = 0`)

	pauseAgentQuery = newQuery(`UPDATE agents SET paused_at = ?, paused_by = ?
		WHERE space = ? AND name = ? AND removed_at = 0`)

	saveAgentQuery = newQuery(`UPDATE agents SET instance = ?, instance_seen_at = ?, version = ?, commands = ?, last_seen_at = ?
		WHERE id = ? AND removed_at = 0`)

	seenQuery = newQuery(`UPDATE agents SET last_seen_at = max(last_seen_at, ?1),
			instance_seen_at = iif(instance = '', instance_seen_at, max(instance_seen_at, ?1))
		WHERE id = ?2 AND removed_at = 0
			AND (last_seen_at < ?1 OR (instance <> '' AND instance_seen_at < ?1))`)
)

// CreateAgent implements job.Store.
func (s *Store) CreateAgent(ctx context.Context, a job.Agent) error {
	args, err := row.AgentArgs(&a)
	if err != nil {
		return err
	}
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		n, err := t.exec(createAgentQuery, args...)
		if err == nil && n == 0 {
			return refuse(job.ErrExists)
		}
		delete(t.w.state.agents, agentKey{a.Space, a.Name})
		return err
	}})
}

// Agent implements job.Store.
func (s *Store) Agent(ctx context.Context, space, name string) (job.Agent, error) {
	var r row.Agent
	found, err := s.read.row(ctx, agentQuery, []any{space, name}, r.Dest()...)
	if err == nil && !found {
		err = row.NoAgentError{}
	}
	if err != nil {
		return job.Agent{}, err
	}
	return r.Read()
}

// Agents implements job.Store.
func (s *Store) Agents(ctx context.Context, space string) (agents []job.Agent, err error) {
	rows, err := s.read.query(ctx, agentsQuery, space)
	if err != nil {
		return nil, err
	}
	agents, err = row.Agents(rows)
	return agents, s.read.explain(err)
}

// RemoveAgent implements job.Store. An agent that is not there is both
// job.ErrNotFound and job.ErrUnknownAgent.
func (s *Store) RemoveAgent(ctx context.Context, space, name string) error {
	return s.changeAgent(ctx, space, name, removeAgentQuery, func() []any { return []any{row.Micros(s.now())} })
}

// PauseAgent implements job.Store.
func (s *Store) PauseAgent(ctx context.Context, space, name, by string) error {
	return s.changeAgent(ctx, space, name, pauseAgentQuery, func() []any {
		if by == "" {
			return []any{int64(0), ""}
		}
		return []any{row.Micros(s.now()), by}
	})
}

func (s *Store) changeAgent(ctx context.Context, space, name string, q *query, values func() []any) error {
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		delete(t.w.state.agents, agentKey{space, name})
		n, err := t.exec(q, append(values(), space, name)...)
		if err == nil && n == 0 {
			return refuse(row.NoAgentError{})
		}
		return err
	}})
}

// SaveAgent implements job.Store. For an agent that was removed, or never was,
// it answers job.ErrAgentRemoved.
func (s *Store) SaveAgent(ctx context.Context, a job.Agent) error {
	commands, err := row.CommandsText(a.Commands)
	if err != nil {
		return err
	}
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		t.forgetAgent(a.ID)
		n, err := t.exec(saveAgentQuery, a.Instance, row.Micros(a.InstanceSeenAt), a.Version, commands, row.Micros(a.LastSeenAt), a.ID)
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
		err := s.write.Do(ctx, &work{Rows: len(batch), Do: func(t *tx) error {
			for _, id := range batch {
				t.forgetAgent(id)
				if _, err := t.exec(seenQuery, row.Micros(at), id); err != nil {
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

var (
	outagesQuery = newQuery(`SELECT ` + row.OutageColumns + ` FROM agents WHERE ` + row.HasOutage + ` ORDER BY id LIMIT ?`)

	noteOutageQuery = newQuery(row.NoteOutage)
	noteEndQuery    = newQuery(row.NoteEnd)
)

// Outages implements job.Store.
func (s *Store) Outages(ctx context.Context, silentFor time.Duration, max int) ([]job.Outage, error) {
	since := row.Micros(s.now().Add(-silentFor))
	rows, err := s.read.query(ctx, outagesQuery, since, since, int64(max))
	if err != nil {
		return nil, err
	}
	outages, err := row.Outages(rows)
	return outages, s.read.explain(err)
}

// NoteOutage implements job.Store.
func (s *Store) NoteOutage(ctx context.Context, o job.Outage, silentFor time.Duration, messages []job.Event) (bool, error) {
	messages = slices.Clone(messages) // the caller may leave before it is done
	q := noteOutageQuery
	if o.Over {
		q = noteEndQuery
	}
	var noted bool
	err := s.write.Do(ctx, &work{Rows: 1 + len(messages), Do: func(t *tx) error {
		n, err := t.exec(q, o.Agent.ID, row.Micros(s.now().Add(-silentFor)))
		if noted = n > 0; err != nil || !noted {
			return err
		}
		return t.tell(nil, messages)
	}})
	return err == nil && noted, err
}
