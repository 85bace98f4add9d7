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

	"github.com/letserverrun/skadi/core/store/group"
)

const (
	// maxBatch bounds one transaction, in rows or so, so that nobody waits
	// long for it.
	maxBatch = 2048
)

// writer is the one goroutine that writes. It takes whatever queued up during
// the last commit and commits it together: no timer, no waiting.
type writer struct {
	*group.Queue[*tx]
	store *Store
	dsn   string
	ctx   context.Context // never ends

	// The connection and what is remembered of it are the goroutine's alone.
	conn    *conn
	state   writerState
	args    []any // of statements, to be used again
	updates updates

	mu      sync.Mutex
	counted Stats

	ended chan struct{}

	checkpoints *checkpointer
}

type (
	member = group.Member[*tx]
	work   = group.Func[*tx]
)

func startWriter(ctx context.Context, s *Store, busy time.Duration) (*writer, error) {
	w := &writer{
		Queue: group.New[*tx](maxBatch), store: s, ctx: context.WithoutCancel(ctx),
		// The checkpointer sees to it that no commit has to make a checkpoint.
		dsn:   dsn(s.path, busy, "cache_size(-16384)", "wal_autocheckpoint(0)", "journal_size_limit(67108864)"),
		ended: make(chan struct{}),
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

func (w *writer) stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.counted
	st.Waiting = w.Waiting()
	return st
}

func (w *writer) close() error {
	w.Close()
	<-w.ended
	return w.checkpoints.close()
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
			group.Answer(batch, fmt.Errorf("a write ended the goroutine that it ran in"))
			go w.run()
			return
		}
		w.disconnect()
		close(w.ended)
	}()
	for {
		var more bool
		if batch, more = w.Take(nil); !more {
			clean = true
			return
		}
		if len(batch) == 0 {
			select {
			case <-w.Wake():
			case <-w.Closed():
			}
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
		now := w.Waiting()
		if now == before || now >= maxBatch {
			return
		}
		before = now
		runtime.Gosched()
	}
}

// commit makes the members' work durable and answers them. If the work of one
// fails in the database, each is done again alone, so that only that one is
// told so.
func (w *writer) commit(batch []*member) {
	err := w.try(batch)
	w.count(batch, err)
	if err == nil || (len(batch) == 1 && !errors.Is(err, errStale)) || !worthReplay(err) {
		group.Answer(batch, explain(err))
		return
	}
	for i := range batch {
		alone := batch[i : i+1]
		err := w.try(alone)
		w.count(alone, err)
		group.Answer(alone, explain(err))
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
		m.Err = nil
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
