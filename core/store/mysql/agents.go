package mysql

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

const agentQuery = `SELECT ` + row.AgentColumns + ` FROM agents WHERE space = ? AND live_name = ?`

// CreateAgent implements job.Store.
func (s *Store) CreateAgent(ctx context.Context, a job.Agent) error {
	args, err := row.AgentArgs(&a)
	if err != nil {
		return err
	}
	return s.write(ctx, 1, func(t *tx) error {
		delete(t.agents, agentKey{a.Space, a.Name})
		_, err := t.exec(`INSERT INTO agents (`+row.AgentColumns+`) VALUES `+in(len(args)), args...)
		if number(err) == erDuplicate && strings.Contains(err.Error(), "agents_name") {
			return refuse(job.ErrExists)
		}
		return err
	})
}

// Agent implements job.Store.
func (s *Store) Agent(ctx context.Context, space, name string) (job.Agent, error) {
	var r row.Agent
	found, err := s.row(ctx, agentQuery, []any{space, name}, r.Dest()...)
	if err == nil && !found {
		err = row.NoAgentError{}
	}
	if err != nil {
		return job.Agent{}, err
	}
	return r.Read()
}

// Agents implements job.Store.
func (s *Store) Agents(ctx context.Context, space string) ([]job.Agent, error) {
	from, err := s.query(ctx, `SELECT `+row.AgentColumns+` FROM agents FORCE INDEX (agents_name)
		WHERE space = ? AND live_name IS NOT NULL ORDER BY live_name`, space)
	if err != nil {
		return nil, err
	}
	agents, err := row.Agents(from)
	return agents, s.explain(err)
}

// RemoveAgent implements job.Store. An agent that is not there is both
// job.ErrNotFound and job.ErrUnknownAgent.
func (s *Store) RemoveAgent(ctx context.Context, space, name string) error {
	return s.changeAgent(ctx, space, name, `removed_at = ?`, func(now time.Time) []any { return []any{row.Micros(now)} })
}

// PauseAgent implements job.Store.
func (s *Store) PauseAgent(ctx context.Context, space, name, by string) error {
	return s.changeAgent(ctx, space, name, `paused_at = ?, paused_by = ?`, func(now time.Time) []any {
		if by == "" {
			return []any{int64(0), ""}
		}
		return []any{row.Micros(now), by}
	})
}

func (s *Store) changeAgent(ctx context.Context, space, name, set string, values func(now time.Time) []any) error {
	return s.write(ctx, 1, func(t *tx) error {
		delete(t.agents, agentKey{space, name})
		found, err := t.exec(`UPDATE agents SET `+set+` WHERE space = ? AND live_name = ?`, append(values(t.now), space, name)...)
		if err == nil && found == 0 {
			return refuse(row.NoAgentError{})
		}
		return err
	})
}

// SaveAgent implements job.Store. For an agent that was removed, or never was,
// it answers job.ErrAgentRemoved.
func (s *Store) SaveAgent(ctx context.Context, a job.Agent) error {
	commands, err := row.CommandsText(a.Commands)
	if err != nil {
		return err
	}
	return s.write(ctx, 1, func(t *tx) error {
		found, err := t.exec(`UPDATE agents SET instance = ?, instance_seen_at = ?, version = ?, commands = ?, last_seen_at = ?
			WHERE id = ? AND removed_at = 0`,
			valid(a.Instance), row.Micros(a.InstanceSeenAt), valid(a.Version), commands, row.Micros(a.LastSeenAt), a.ID)
		if err == nil && found == 0 {
			return refuse(job.ErrAgentRemoved)
		}
		return err
	})
}

// seenBatch is how many agents are seen in one transaction, so that others
// get their turn.
const seenBatch = 500

// Seen implements job.Store.
func (s *Store) Seen(ctx context.Context, ids []string, at time.Time) error {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	us := row.Micros(at)
	for batch := range slices.Chunk(ids, seenBatch) {
		err := s.write(ctx, len(batch), func(t *tx) error {
			_, err := t.exec(`UPDATE agents SET last_seen_at = GREATEST(last_seen_at, ?),
					instance_seen_at = CASE WHEN instance = '' THEN instance_seen_at ELSE GREATEST(instance_seen_at, ?) END
				WHERE id IN `+in(len(batch))+` AND removed_at = 0`, append([]any{us, us}, anys(batch)...)...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Outages implements job.Store.
func (s *Store) Outages(ctx context.Context, silentFor time.Duration, max int) ([]job.Outage, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	since := row.Micros(now.Add(-silentFor))
	from, err := s.query(ctx, `SELECT `+row.OutageColumns+` FROM agents WHERE `+row.HasOutage+` ORDER BY id LIMIT ?`, since, since, int64(max))
	if err != nil {
		return nil, err
	}
	outages, err := row.Outages(from)
	return outages, s.explain(err)
}

// NoteOutage implements job.Store.
func (s *Store) NoteOutage(ctx context.Context, o job.Outage, silentFor time.Duration, messages []job.Event) (bool, error) {
	messages = slices.Clone(messages) // the caller may leave before it is done
	statement := row.NoteOutage
	if o.Over {
		statement = row.NoteEnd
	}
	var noted bool
	err := s.write(ctx, 1+len(messages), func(t *tx) error {
		found, err := t.exec(statement, o.Agent.ID, row.Micros(t.now.Add(-silentFor)))
		if noted = found > 0; err != nil || !noted {
			return err
		}
		return t.tell(nil, messages)
	})
	return err == nil && noted, err
}
