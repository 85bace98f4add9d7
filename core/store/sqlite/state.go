package sqlite

import (
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

const (
	// numberBlock is how many job numbers are taken at a time.
	numberBlock = 1000
	// maxKnownAgents and maxKnownJobs bound what the writer remembers, and
	// maxKnownMessage how long a job's message may be.
	maxKnownAgents  = 10_000
	maxKnownJobs    = 8192
	maxKnownMessage = 4096
)

// writerState is what the writer remembers from one transaction to the next.
type writerState struct {
	// next to end are job numbers that nobody else has.
	next, end int64
	// What follows holds for this version of the database: no other
	// connection has written since.
	version int64
	// agents are rows by space and name, nil for a name that no agent has;
	// agentKeys are the names by ID.
	agents    map[agentKey]*job.Agent
	agentKeys map[string]agentKey
	// jobs are live ones as they stand, since a job that was just made is
	// claimed soon, and one that was claimed is reported.
	jobs row.Generations[jobKey, *job.Job]
	// outbox is the last number of an event; negative if it is not known.
	outbox int64
}

type agentKey struct{ space, name string }

var (
	reserveQuery     = newQuery(`UPDATE sequences SET value = value + ? WHERE name = 'job' RETURNING value`)
	dataVersionQuery = newQuery(`PRAGMA data_version`)
	outboxQuery      = newQuery(`SELECT value FROM sequences WHERE name = 'outbox'`)
	setOutboxQuery   = newQuery(`UPDATE sequences SET value = ? WHERE name = 'outbox'`)
)

// drafts counts the job numbers that the members may need.
func drafts(batch []*member) (n int64) {
	for _, m := range batch {
		if c, ok := m.Op.(*createOp); ok {
			n += c.drafts
		}
	}
	return n
}

// reserve takes a block of job numbers unless there are n left, in a
// transaction of its own, so that a number is never handed out twice even if
// the transaction that uses it is rolled back.
func (s *writerState) reserve(w *writer, n int64) error {
	if s.end-s.next >= n {
		return nil
	}
	block := max(n, numberBlock)
	var last int64
	if _, err := w.conn.row(reserveQuery, []any{block}, &last); err != nil {
		return err
	}
	s.next, s.end = last-block+1, last+1
	return nil
}

func (s *writerState) number() int64 {
	n := s.next
	s.next++
	return n
}

// refresh forgets what may be old if another connection has written since.
func (s *writerState) refresh(w *writer) error {
	var version int64
	if _, err := w.conn.row(dataVersionQuery, nil, &version); err != nil {
		return err
	}
	if version != s.version {
		w.store.recent.forget()
	}
	if version != s.version || s.agents == nil || len(s.agents) > maxKnownAgents {
		s.agents, s.agentKeys = map[agentKey]*job.Agent{}, map[string]agentKey{}
		s.version, s.outbox = version, -1
		s.jobs.Clear()
		s.jobs.Max = maxKnownJobs
	}
	return nil
}

// know remembers a job as it was written, or forgets it if it is over.
func (s *writerState) know(j *job.Job) {
	key := jobKey{j.Space, j.ID}
	if j.Status.Final() || j.Result != nil || len(j.Late) > 0 || len(j.Message) > maxKnownMessage {
		s.jobs.Remove(key)
		return
	}
	s.jobs.Put(key, j)
}

// take takes n numbers of the outbox and returns the one before the first.
// They are taken within the transaction that uses them, so their order is
// that of commits, whichever process makes them.
func (s *writerState) take(t *tx, n int64) (before int64, err error) {
	if s.outbox < 0 {
		if _, err := t.row(outboxQuery, nil, &s.outbox); err != nil {
			return 0, err
		}
	}
	before = s.outbox
	s.outbox += n
	_, err = t.exec(setOutboxQuery, s.outbox)
	return before, err
}

// forget drops what may have been read or written in a transaction that did
// not come to be. The job numbers were taken outside of it and stay.
func (s *writerState) forget() { s.agents = nil } // refresh does the rest
