package job

import (
	"context"
	"time"
)

// Observer is told what a Service did once it was durable: for metrics and
// traces. Its methods are called concurrently and return at once.
type Observer interface {
	// Moved: the job took an arrow. from is empty for a new job.
	Moved(ctx context.Context, from Status, j *Job)
	// Swept: a pass of the sweeper is over.
	Swept(took time.Duration, err error)
}

// moves remembers from which status each job of one update comes, which its
// answers do not tell. decide may be called again for the same job.
type moves struct {
	ids   []string
	froms []Status
}

func (m *moves) watch(decide Decide) Decide {
	return func(v View) (*Change, error) {
		c, err := decide(v)
		if err == nil && c != nil && c.Job.Status != v.Job.Status {
			m.ids, m.froms = append(m.ids, v.Job.ID), append(m.froms, v.Job.Status)
		}
		return c, err
	}
}

// tell tells the observer of the arrows that were taken. Answers come in about
// the order of the decisions, of which the last about a job counts; so both
// are gone through from their ends.
func (m *moves) tell(ctx context.Context, o Observer, us []Updated) {
	next := len(m.ids)
	for i := len(us) - 1; i >= 0; i-- {
		if !us[i].Changed {
			continue
		}
		id := us[i].Job.ID
		if next > 0 && m.ids[next-1] == id {
			next--
			o.Moved(ctx, m.froms[next], &us[i].Job)
			continue
		}
		if at := m.last(id); at >= 0 {
			o.Moved(ctx, m.froms[at], &us[i].Job)
		}
	}
}

// last returns where the last decision about the job is, -1 without one.
func (m *moves) last(id string) int {
	for i := len(m.ids) - 1; i >= 0; i-- {
		if m.ids[i] == id {
			return i
		}
	}
	return -1
}
