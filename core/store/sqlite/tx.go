package sqlite

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/group"
	"github.com/letserverrun/skadi/core/store/row"
)

// tx is one transaction of the writer. Work of one kind is merged across its
// members: the jobs to be made are inserted together, the jobs named by ID
// are read together, those that a member changes are written together, and
// the events are inserted at the end.
type tx struct {
	w      *writer
	loaded map[jobKey]*job.Job // named by ID, as they stand now
	// events are inserted at the end.
	events []*row.NewEvent
	// updates are what the member at work has changed.
	updates *updates
	// args is where the arguments of a statement are put together.
	args []any
	// after is done once the transaction is durable.
	after []func()
}

type jobKey struct{ space, id string }

// loader is an op that needs jobs by ID.
type loader interface{ needs() []jobKey }

// apply does the members' work: first what is created, then what names jobs
// by ID, then the rest. The members ran at the same time, so any order will
// do; this one allows for the merging.
func (t *tx) apply(batch []*member) error {
	var creates, named, rest []*member
	var keys []jobKey
	for _, m := range batch {
		switch o := m.Op.(type) {
		case *createOp:
			creates = append(creates, m)
		case loader:
			named = append(named, m)
			keys = append(keys, o.needs()...)
		default:
			rest = append(rest, m)
		}
	}
	if err := t.create(creates); err != nil {
		return err
	}
	if err := t.load(keys); err != nil {
		return err
	}
	for _, m := range append(named, rest...) {
		err := t.work(m.Op)
		var r *refusal
		if errors.As(err, &r) {
			m.Err = r.err
		} else if err != nil {
			return err
		}
	}
	return t.insertEvents()
}

func (t *tx) work(o group.Op[*tx]) error {
	err := o.Apply(t)
	if flushErr := t.updates.flush(t); flushErr != nil {
		return flushErr
	}
	return err
}

func (t *tx) exec(q *query, args ...any) (affected int64, err error) {
	return t.w.conn.exec(q, args...)
}

func (t *tx) query(q *query, args ...any) (row.Cursor, error) { return t.w.conn.query(q, args...) }

func (t *tx) row(q *query, args []any, dest ...any) (found bool, err error) {
	return t.w.conn.row(q, args, dest...)
}

// agent returns the agent of that name that is not removed, or nil. Nobody
// may change what it points to.
func (t *tx) agent(space, name string) (*job.Agent, error) {
	key := agentKey{space, name}
	if a, known := t.w.state.agents[key]; known {
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
		t.w.state.agentKeys[a.ID] = key
	}
	t.w.state.agents[key] = a
	return a, nil
}

// calm calls f, which is not ours, and makes an error of a panic.
func (t *tx) calm(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.w.store.log.Error("a decision panicked; it changes nothing", "what", what, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s panicked: %v", what, p)
		}
	}()
	return f()
}
