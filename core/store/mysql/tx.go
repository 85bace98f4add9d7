package mysql

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// tx is one transaction of a writer. Work of one kind is merged across its
// members: what they need is read together at the start, and the jobs and
// events that they write are written together at the end, since it is the
// number of statements that costs.
type tx struct {
	w    *writer
	s    *Store
	conn *conn
	// now is the database's clock when the transaction began, or the store's
	// own clock if it has one.
	now time.Time

	agents map[agentKey]*job.Agent // nil for a name that no agent has
	known  map[dedupeKey]*dedupeRow
	jobs   map[jobKey]*held

	outputs map[int64]*output // by jobs.num
	number  int64             // of the next job that is made

	// What is written at the end.
	entered []*dedupeRow
	made    []*job.Job
	changed []*held
	events  []*row.NewEvent
	rows    []*row.NewEvent  // those of events that get rows of their own
	history map[int64][]byte // the others, by jobs.num
	bundles []*bundle
	chunks  []any
	// inserted is the first number that the last INSERT got.
	inserted int64
	// after is done once the transaction is durable.
	after []func()
}

type (
	jobKey   struct{ space, id string }
	agentKey struct{ space, name string }
)

// held is a job that the transaction has locked, or of which it is known what
// it was when it was written last: then its update locks it, and finds out
// whether it still is.
type held struct {
	was *job.Job // as it is in the database
	is  *job.Job // as it will be
	// unsure says that it is not locked.
	unsure bool
}

// time is the time that a transaction goes by, given the database's.
func (s *Store) time(us int64) time.Time {
	if s.clock != nil {
		return row.Time(row.Micros(s.clock()))
	}
	return row.Time(us)
}

// nowText is the time as it stands in a statement.
func (t *tx) nowText() string { return strconv.FormatInt(row.Micros(t.now), 10) }

// apply does the members' work: first what is created, then what names jobs
// by ID, then what selects jobs, then the rest. The members ran at the same
// time, so any order will do; this one allows for the merging, and takes
// locks in an order that is the same for all: jobs by ascending ID, then those
// that nobody else has locked.
func (t *tx) apply(batch []*member) error {
	var creates, named, selects, rest []*member
	for _, m := range batch {
		switch m.Op.(type) {
		case *createOp:
			creates = append(creates, m)
		case loader:
			named = append(named, m)
		case *selectOp:
			selects = append(selects, m)
		default:
			rest = append(rest, m)
		}
	}
	if err := t.prepare(creates, named, selects); err != nil {
		return err
	}
	if err := t.create(creates); err != nil {
		return err
	}
	if err := t.each(named); err != nil {
		return err
	}
	if err := t.selectAll(selects); err != nil {
		return err
	}
	if err := t.each(rest); err != nil {
		return err
	}
	return t.flush()
}

func (t *tx) each(members []*member) error {
	for _, m := range members {
		if err := t.work(m); err != nil {
			return err
		}
	}
	return nil
}

// work does a member's work, and keeps a refusal.
func (t *tx) work(m *member) error {
	err := m.Op.Apply(t)
	var r *refusal
	if errors.As(err, &r) {
		m.Err = r.err
		return nil
	}
	return err
}

// exec runs a statement and returns how many rows it found to change, or
// inserted.
func (t *tx) exec(text string, args ...any) (found int64, err error) {
	found, _, err = t.conn.exec(text, args...)
	return found, err
}

// query runs a statement that answers with rows. They must be read to the
// end, or closed, before the next statement.
func (t *tx) query(text string, args ...any) (row.Cursor, error) { return t.conn.query(text, args...) }

// row reads one row, and reports whether there is one.
func (t *tx) row(text string, args []any, dest ...any) (found bool, err error) {
	from, err := t.query(text, args...)
	if err != nil {
		return false, err
	}
	return row.One(from, dest...)
}

// One INSERT takes up to insertRows rows, and of long ones up to about
// insertBytes, which every server takes.
const (
	insertRows  = 500
	insertBytes = 1 << 20
)

// insert inserts rows of that many columns, whose values follow each other in
// args. head ends with VALUES; tail is what follows the rows.
func (t *tx) insert(head string, columns int, args []any, tail string) error {
	for len(args) > 0 {
		n, bytes := 0, 0
		for n < insertRows && n*columns < len(args) && bytes < insertBytes {
			for _, a := range args[n*columns : (n+1)*columns] {
				bytes += size(a)
			}
			n++
		}
		if n > 1 && bytes > insertBytes {
			n-- // the last one may be a very long one
		}
		_, id, err := t.conn.exec(head+rowsOf(n, columns)+tail, args[:n*columns]...)
		if err != nil {
			return err
		}
		t.inserted = id
		args = args[n*columns:]
	}
	return nil
}

// size is about how many bytes an argument takes.
func size(a any) int {
	switch v := a.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	}
	return 8
}

// readAgents reads the agents of these names that are not removed.
func (t *tx) readAgents(keys map[agentKey]struct{}) error {
	t.agents = make(map[agentKey]*job.Agent, len(keys))
	if len(keys) == 0 {
		return nil
	}
	args := make([]any, 0, 2*len(keys))
	for k := range keys {
		t.agents[k] = nil
		args = append(args, k.space, k.name)
	}
	// Each by the index, which a list of rows after IN would not be in MariaDB.
	const one = `(space = ? AND live_name = ?)`
	from, err := t.query(`SELECT `+row.AgentColumns+` FROM agents WHERE `+one+strings.Repeat(` OR `+one, len(keys)-1), args...)
	if err != nil {
		return err
	}
	found, err := row.Agents(from)
	for i := range found {
		t.agents[agentKey{found[i].Space, found[i].Name}] = &found[i]
	}
	return err
}

// agent returns the agent of that name that is not removed, or nil. Nobody
// may change what it points to.
func (t *tx) agent(space, name string) (*job.Agent, error) {
	key := agentKey{space, name}
	if a, known := t.agents[key]; known {
		return a, nil
	}
	var r row.Agent
	found, err := t.row(agentQuery, []any{space, name}, r.Dest()...)
	if err != nil {
		return nil, err
	}
	var a *job.Agent
	if found {
		read, err := r.Read()
		if err != nil {
			return nil, err
		}
		a = &read
	}
	t.agents[key] = a
	return a, nil
}

// calm calls f, which is not ours, and makes an error of a panic.
func (t *tx) calm(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.s.log.Error("a decision panicked; it changes nothing", "what", what, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s panicked: %v", what, p)
		}
	}()
	return f()
}
