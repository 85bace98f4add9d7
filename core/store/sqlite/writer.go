package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// maxBatch bounds one transaction, in rows or so, so that nobody waits
	// long for it.
	maxBatch = 2048
	// maxWaiting bounds the writes that wait: with more the database is as
	// good as away.
	maxWaiting = 16384
)

// writer is the one goroutine that writes. It takes whatever queued up during
// the last commit and commits it together: no timer, no waiting.
type writer struct {
	store *Store
	dsn   string
	ctx   context.Context // never ends

	// The connection and what is remembered of it are the goroutine's alone.
	conn    *conn
	state   writerState
	args    []any // of statements, to be used again
	updates updates

	mu      sync.Mutex
	waiting []*member
	closing bool
	counted Stats

	wake  chan struct{} // has room for one signal
	ended chan struct{}

	checkpoints *checkpointer
}

// member is one write of a transaction: its work, and the caller to be told.
type member struct {
	op   op
	done chan struct{}
	err  error
}

// op is the work of a member. It may be done again in another transaction if
// the first is rolled back.
type op interface {
	// weight is about how many rows it writes.
	weight() int
	// apply does the work. A refusal goes to the caller; any other error
	// rolls the transaction back.
	apply(t *tx) error
}

// work is an op made of a function.
type work struct {
	rows int
	do   func(*tx) error
}

func (w *work) weight() int { return w.rows }

func (w *work) apply(t *tx) error { return w.do(t) }

func startWriter(ctx context.Context, s *Store, busy time.Duration) (*writer, error) {
	w := &writer{
		store: s, ctx: context.WithoutCancel(ctx),
		// The checkpointer sees to it that no commit has to make a checkpoint.
		dsn:  dsn(s.path, busy, "cache_size(-16384)", "wal_autocheckpoint(0)", "journal_size_limit(67108864)"),
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	var err error
	if w.checkpoints, err = startCheckpointer(ctx, s, busy); err != nil {
		w.disconnect()
		return nil, err
	}
	go w.run()
	return w, nil
}

func (w *writer) connect(ctx context.Context) (err error) {
	w.state = writerState{}
	w.conn, err = connect(ctx, w.dsn)
	return err
}

func (w *writer) disconnect() {
	if w.conn != nil {
		_ = w.conn.close() // what was committed is on the disk
		w.conn = nil
	}
}

// do has the op done in the next transaction and waits until that is durable.
// If ctx ends first its error is returned, and the op is done all the same.
func (w *writer) do(ctx context.Context, o op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := &member{op: o, done: make(chan struct{})}
	w.mu.Lock()
	switch {
	case w.closing:
		w.mu.Unlock()
		return errClosed
	case len(w.waiting) >= maxWaiting:
		w.mu.Unlock()
		return errQueue
	}
	w.waiting = append(w.waiting, m)
	w.mu.Unlock()
	w.signal()
	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) alive() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return errClosed
	}
	return nil
}

func (w *writer) stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.counted
	st.Waiting = len(w.waiting)
	return st
}

func (w *writer) close() error {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.signal()
	<-w.ended
	return w.checkpoints.close()
}

// take returns the next batch: what is waiting, up to maxBatch. more is false
// once the writer was closed and nothing is left.
func (w *writer) take() (batch []*member, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	weight, n := 0, 0
	for n < len(w.waiting) && (n == 0 || weight+w.waiting[n].op.weight() <= maxBatch) {
		weight += w.waiting[n].op.weight()
		n++
	}
	batch = w.waiting[:n:n]
	w.waiting = w.waiting[n:]
	if len(w.waiting) == 0 {
		w.waiting = nil
	}
	return batch, n > 0 || !w.closing
}

// run is the goroutine. A decide function that ends its goroutine
// (runtime.Goexit, as a failing test does) must not end the store's writing,
// so then another one takes over.
func (w *writer) run() {
	var batch []*member
	clean := false
	defer func() {
		if !clean {
			w.rollback()
			answer(batch, fmt.Errorf("a write ended the goroutine that it ran in"))
			go w.run()
			return
		}
		w.disconnect()
		close(w.ended)
	}()
	for {
		var more bool
		if batch, more = w.take(); !more {
			clean = true
			return
		}
		if len(batch) == 0 {
			<-w.wake
			continue
		}
		w.commit(batch)
		w.checkpoints.committed(w)
		w.gather()
	}
}

// gather lets those who are about to write come, for as long as more of them
// do: a commit costs by the pages that it touches, and more writes touch few
// more. It waits for nobody who is not ready to run.
func (w *writer) gather() {
	for before := -1; ; {
		w.mu.Lock()
		now := len(w.waiting)
		w.mu.Unlock()
		if now == before || now >= maxBatch {
			return
		}
		before = now
		runtime.Gosched()
	}
}

func answer(batch []*member, err error) {
	for _, m := range batch {
		select {
		case <-m.done: // was answered
		default:
			if m.err == nil {
				m.err = err
			}
			close(m.done)
		}
	}
}

// commit makes the members' work durable and answers them. If the work of one
// fails in the database, each is done again alone, so that only that one is
// told so.
func (w *writer) commit(batch []*member) {
	err := w.try(batch)
	w.count(batch, err)
	if err == nil || (len(batch) == 1 && !errors.Is(err, errStale)) || !worthReplay(err) {
		answer(batch, explain(err))
		return
	}
	for i := range batch {
		alone := batch[i : i+1]
		err := w.try(alone)
		w.count(alone, err)
		answer(alone, explain(err))
	}
}

// worthReplay says whether the error may be that of one member.
func worthReplay(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return false
	}
	return !errors.Is(err, driver.ErrBadConn)
}

func (w *writer) count(batch []*member, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.counted.Commits++
		w.counted.Members += int64(len(batch))
		w.counted.Largest = max(w.counted.Largest, len(batch))
	case len(batch) > 1:
		w.counted.Replays++
	}
}

// try does the members' work in one transaction. A refusal is left in its
// member; an error means that nothing was written.
func (w *writer) try(batch []*member) error {
	if w.conn == nil {
		if err := w.connect(w.ctx); err != nil {
			return err
		}
	}
	w.updates.reset()
	t := &tx{w: w, args: w.args, updates: &w.updates}
	defer func() { clear(t.args); w.args = t.args }()
	err := w.transact(t, batch)
	if err == nil {
		w.store.recent.add(t.events)
		for _, f := range t.after {
			f()
		}
		return nil
	}
	for _, m := range batch {
		m.err = nil
	}
	w.rollback()
	if errors.Is(err, driver.ErrBadConn) {
		w.disconnect()
	}
	return err
}

// rollback ends a transaction that failed and forgets what was read in it.
func (w *writer) rollback() {
	w.state.forget()
	if w.conn != nil {
		_, _ = w.conn.exec(rollbackQuery) // an error: SQLite has rolled back already
	}
}

var (
	beginQuery    = newQuery(`BEGIN IMMEDIATE`)
	commitQuery   = newQuery(`COMMIT`)
	rollbackQuery = newQuery(`ROLLBACK`)
)

func (w *writer) transact(t *tx, batch []*member) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.store.log.Error("a write panicked and was rolled back", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the write panicked: %v", p)
		}
	}()
	if err := w.state.reserve(w, drafts(batch)); err != nil {
		return err
	}
	if _, err := w.conn.exec(beginQuery); err != nil {
		return err
	}
	if err := w.state.refresh(w); err != nil {
		return err
	}
	if err := t.apply(batch); err != nil {
		return err
	}
	_, err = w.conn.exec(commitQuery)
	return err
}
