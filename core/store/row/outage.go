package row

import (
	"errors"

	"github.com/letserverrun/skadi/core/job"
)

// OutageColumns are the columns of agents that Outages reads.
const OutageColumns = AgentColumns + `, away_since`

// HasOutage is which agents have an outage that is not noted, or whose end is
// not; both values are the moment since which an agent is silent. NoteOutage
// and NoteEnd note them.
const (
	HasOutage = `removed_at = 0 AND last_seen_at > 0 AND
		((away_since = 0 AND last_seen_at <= ?) OR (away_since <> 0 AND last_seen_at > ?))`
	NoteOutage = `UPDATE agents SET away_since = last_seen_at
		WHERE id = ? AND removed_at = 0 AND last_seen_at > 0 AND away_since = 0 AND last_seen_at <= ?`
	NoteEnd = `UPDATE agents SET away_since = 0
		WHERE id = ? AND removed_at = 0 AND away_since <> 0 AND last_seen_at > ?`
)

// Outages reads and closes rows of OutageColumns.
func Outages(from Cursor) (outages []job.Outage, err error) {
	var r Agent
	var away int64
	var failed error
	err = Each(from, append(r.Dest(), &away), func() {
		a, err := r.Read()
		if err != nil {
			failed = err
		}
		o := job.Outage{Agent: a, Over: away != 0, Since: a.LastSeenAt}
		if o.Over {
			o.Since = Time(max(away, 0))
		}
		outages = append(outages, o)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return outages, nil
}
