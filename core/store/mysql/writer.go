package mysql

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/group"
)

const (
	// conflictTries is how often a transaction is tried that meets others.
	conflictTries = 12
	// lockTries is the same for one that waited lockWait each time.
	lockTries = 2
	// lostTries is how often one is tried whose connection is lost, with
	// pauses of lostPause at most: about two seconds in all.
	lostTries = 8
	lostPause = 500 * time.Millisecond
	// lostFor is for how long, where each try takes its time.
	lostFor = 5 * time.Second
	// unsureFor is how long it is tried to find out whether a COMMIT without
	// an answer came to be: longer than a server takes to start again.
	unsureFor = 60 * time.Second
)

// writer is one of the goroutines that write.
//
// It has a row of its own in the table writers, which each of its transactions
// updates. That gives the transaction the database's clock in one statement
// (LAST_INSERT_ID of an expression), and it makes sure of a COMMIT that was
// not answered: the row then names that transaction or the one before. Reading
// it locks it, so the answer waits for a transaction that the server has not
// given up yet; for the same reason a new try cannot overtake an old one. See
// operation for servers that do not have each other's locks.
type writer struct {
	store *Store
	queue *queue
	from  *session
	ctx   context.Context // never ends
	id    string
	last  int64 // the number of its last transaction

	// conn is the goroutine's alone; nil when it is lost.
	conn *conn
	used time.Time // when it last answered
	down bool      // the last try to connect failed
}

// connect makes a connection and sees to it that the writer's row is there.
func (w *writer) connect(ctx context.Context) error {
	c, err := connect(ctx, w.from)
	if err != nil {
		return err
	}
	const enter = `INSERT INTO writers (id, operation, at) VALUES (?, '', ` + micros + `) ON DUPLICATE KEY UPDATE id = id`
	if _, _, err = c.exec(enter, w.id); err == nil {
		_, _, err = c.exec(`COMMIT`)
	}
	if err != nil {
		c.close()
		return err
	}
	w.conn, w.used = c, time.Now()
	w.store.reads.renew()
	return nil
}

func (w *writer) disconnect() {
	if w.conn != nil {
		w.conn.close()
		w.conn = nil
	}
}

// commit makes the members' work durable and answers them. If the work of one
// fails in the database, each is done again alone, so that only that one is
// told so.
func (w *writer) commit(batch []*member) {
	err := w.do(batch)
	if err == nil || len(batch) == 1 || !worthReplay(err) {
		group.Answer(batch, explain(err))
		return
	}
	w.queue.count(func(st *Stats) { st.Replays++ })
	for i := range batch {
		alone := batch[i : i+1]
		group.Answer(alone, explain(w.do(alone)))
	}
}

// worthReplay says whether the error may be that of one member.
func worthReplay(err error) bool {
	return !isLost(err) && !isReadOnly(err) && !isBusy(err) && !errors.Is(err, job.ErrUnavailable)
}

// do does the members' work in one transaction, as often as it takes to be
// sure. A refusal is left in its member; an error means that nothing was
// written, unless it says that this is not known, and that nobody was refused:
// a refusal may rest on what was not written.
func (w *writer) do(batch []*member) (err error) {
	defer func() {
		if err != nil {
			forgetRefusals(batch)
		}
	}()
	conflicts, lost := 0, 0
	for begun := time.Now(); ; {
		t, sent, err := w.try(batch)
		if err == nil {
			w.committed(t, batch)
			return nil
		}
		w.reset(err)
		switch {
		case sent && !isConflict(err):
			came, unknown := w.resolve(err)
			if unknown != nil {
				return unknown
			}
			if came {
				w.committed(t, batch)
				return nil
			}
			if number(err) == erRunHook && len(batch) > 1 {
				return err // it may be too long for a group of servers as a whole
			}
			lost++
		case isConflict(err) || errors.Is(err, errAgain):
			w.queue.count(func(st *Stats) { st.Conflicts++ })
			conflicts++
			if number(err) == erLockWait {
				conflicts += conflictTries/lockTries - 1
			}
			if conflicts >= conflictTries {
				return err
			}
			w.queue.pause(conflicts, 50*time.Millisecond)
			continue
		// A COMMIT of what may be done again, such as taking numbers, fails if a
		// transaction of another member of a group is in its way.
		case isLost(err) || isReadOnly(err) || isBusy(err) || number(err) == erCommit:
			lost++
		default:
			return err
		}
		// While the database is known to be away, nobody is kept waiting to be
		// told so.
		if lost >= lostTries || lost > 1 && time.Since(begun) > lostFor || w.down && w.conn == nil {
			w.down = w.conn == nil
			return err
		}
		if lost > 1 {
			w.queue.pause(5+lost, lostPause)
		}
	}
}

func (w *writer) committed(t *tx, batch []*member) {
	w.used, w.down = time.Now(), false
	w.queue.count(func(st *Stats) {
		st.Commits++
		st.Members += int64(len(batch))
		st.Largest = max(st.Largest, len(batch))
	})
	w.store.outbox.add(t.bundles)
	for _, j := range t.made {
		w.store.known.put(j)
	}
	for _, h := range t.changed {
		w.store.known.put(h.is)
	}
	for _, f := range t.after {
		f()
	}
}

// reset ends a transaction that failed, and the connection if it may be of no
// use any more.
func (w *writer) reset(err error) {
	// It may be that what is known is old, or that the server is another one now.
	if errors.Is(err, errAgain) || isLost(err) || isReadOnly(err) {
		w.store.known.clear()
	}
	if w.conn == nil {
		return
	}
	if isLost(err) || isReadOnly(err) {
		w.queue.count(func(st *Stats) { st.Lost++ })
		w.disconnect()
		return
	}
	if _, _, err := w.conn.exec(`ROLLBACK`); err != nil {
		w.disconnect() // which rolls back too
	}
}

// try does the members' work once. sent says that COMMIT was sent.
func (w *writer) try(batch []*member) (t *tx, sent bool, err error) {
	// The server may have dropped a connection that was idle; it is not worth
	// a failed try.
	if w.conn != nil && time.Since(w.used) > idleWriter/2 {
		w.disconnect()
	}
	if w.conn == nil {
		if err := w.connect(w.ctx); err != nil {
			return nil, false, err
		}
	}
	forgetRefusals(batch)
	t = &tx{w: w, s: w.store, conn: w.conn}
	defer func() {
		if p := recover(); p != nil {
			w.store.log.Error("a write panicked and was rolled back", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the write panicked: %v", p)
		}
	}()
	if err := t.reserve(batch); err != nil {
		return t, false, err
	}
	if err := t.begin(); err != nil {
		return t, false, err
	}
	if err := t.apply(batch); err != nil {
		return t, false, err
	}
	_, _, err = w.conn.exec(`COMMIT`)
	return t, true, err
}

// forgetRefusals is for those of a transaction that did not come to be.
func forgetRefusals(batch []*member) {
	for _, m := range batch {
		m.Err = nil
	}
}

// begin is the first statement of each transaction.
func (t *tx) begin() error {
	w := t.w
	w.last++
	const stamp = `UPDATE writers SET operation = ?, at = LAST_INSERT_ID(` + micros + `) WHERE id = ?`
	for range 2 {
		found, us, err := t.conn.exec(stamp, strconv.FormatInt(w.last, 10), w.id)
		if err != nil {
			return err
		}
		if found == 1 {
			t.now = t.s.time(us)
			return nil
		}
		// The row was removed for its age.
		if _, _, err := t.conn.exec(`INSERT INTO writers (id, operation, at) VALUES (?, '', 0)`, w.id); err != nil {
			return err
		}
	}
	return errors.New("the writer's row in table writers does not stay")
}

// resolve finds out whether the transaction came to be whose COMMIT was not
// answered. unknown is why it could not be found out.
func (w *writer) resolve(cause error) (came bool, unknown error) {
	w.queue.count(func(st *Stats) { st.Unsure++ })
	w.disconnect()
	patience := unsureFor
	end := time.Now().Add(patience)
	for try := 1; ; try++ {
		operation, err := w.operation()
		if err == nil {
			return operation == strconv.FormatInt(w.last, 10), nil
		}
		w.disconnect()
		if time.Now().After(end) || w.queue.Alive() != nil && try > 3 {
			w.down = true
			return false, fmt.Errorf("%w: it did not answer a COMMIT, so it is not known whether this was written (%w; %w)",
				job.ErrUnavailable, cause, err)
		}
		w.queue.pause(5+try, time.Second)
	}
}

// operation reads the last transaction of this writer that came to be, and sees
// to it that no other one still comes to be. One that is under way at another
// server of a cluster is not waited for; so the row is changed, as it changes
// the row, and of the two only the first comes to be.
func (w *writer) operation() (last string, err error) {
	if w.conn == nil {
		if err := w.connect(w.ctx); err != nil {
			return "", err
		}
	}
	t := &tx{w: w, s: w.store, conn: w.conn}
	if _, err = t.row(`SELECT operation FROM writers WHERE id = ? FOR UPDATE`, []any{w.id}, &last); err != nil {
		return "", err
	}
	if _, _, err = w.conn.exec(`UPDATE writers SET at = at + 1 WHERE id = ?`, w.id); err == nil {
		_, _, err = w.conn.exec(`COMMIT`)
	}
	return last, err
}
