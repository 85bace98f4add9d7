package mysql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// writerCount is how many transactions a node has open at a time. A third
	// one gains nothing: the server works while one of them waits for its disk.
	writerCount = 2
	// crowd is from how many members on a transaction is one of many at a time,
	// and plenty how many are enough for another one beside it. A transaction
	// costs much more than a member of it, so while many write, and also while
	// several nodes do, few large ones get more done than many small ones; while
	// few write, nobody waits.
	crowd  = 8
	plenty = 24
	// patience is for how long it is waited for such a transaction: one that
	// takes longer may wait itself, for a lock or a database that is away.
	patience = 20 * time.Millisecond
	// maxBatch bounds one transaction, in rows or so, so that nobody waits
	// long for it.
	maxBatch = 1024
	// maxWaiting bounds the writes that wait: with more the database is as
	// good as away.
	maxWaiting = 16384
)

// queue holds the writes that wait for a writer. Each of the writers takes
// whatever queued up during its last commit and commits it together: no
// timer, no waiting.
type queue struct {
	store   *Store
	writers sync.WaitGroup

	mu      sync.Mutex
	waiting []*member
	crowds  int       // transactions under way with a crowd of members
	crowded time.Time // when the last of them began
	closing bool
	counted Stats

	wake   chan struct{} // has room for one signal
	closed chan struct{} // when closing
	once   sync.Once
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

// write has f done in a transaction and waits until that is durable. f is
// about rows rows' worth of work, and may be called again. If ctx ends first
// its error is returned, and the work is done all the same.
func (s *Store) write(ctx context.Context, rows int, f func(*tx) error) error {
	return s.queue.do(ctx, &work{rows: rows, do: f})
}

// startWriters connects the writers and starts them.
func startWriters(ctx context.Context, s *Store, from *session) (*queue, error) {
	q := &queue{store: s, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	all := make([]*writer, writerCount)
	for i := range all {
		id, err := uuid.NewRandom()
		if err != nil {
			return nil, err
		}
		all[i] = &writer{store: s, queue: q, from: from, ctx: context.WithoutCancel(ctx), id: id.String()}
		if err := all[i].connect(ctx); err != nil {
			for _, w := range all[:i] {
				w.disconnect()
			}
			return nil, err
		}
	}
	q.writers.Add(len(all))
	for _, w := range all {
		go w.run()
	}
	return q, nil
}

// do has the op done in one of the next transactions and waits until that is
// durable.
func (q *queue) do(ctx context.Context, o op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := &member{op: o, done: make(chan struct{})}
	q.mu.Lock()
	switch {
	case q.closing:
		q.mu.Unlock()
		return errClosed
	case len(q.waiting) >= maxWaiting:
		q.mu.Unlock()
		return errQueue
	}
	q.waiting = append(q.waiting, m)
	q.mu.Unlock()
	q.signal()
	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	st := q.counted
	st.Waiting = len(q.waiting)
	return st
}

func (q *queue) count(f func(*Stats)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f(&q.counted)
}

// close has the writers end once nothing waits any more.
func (q *queue) close() {
	q.mu.Lock()
	q.closing = true
	q.mu.Unlock()
	q.once.Do(func() { close(q.closed) })
	q.writers.Wait()
}

// take returns the next batch: what is waiting, up to maxBatch, or nothing if
// that is better left to the writer who is at work. more is false once the queue
// was closed and nothing is left.
func (q *queue) take() (batch []*member, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.crowds > 0 && len(q.waiting) < plenty && !q.closing && time.Since(q.crowded) < patience {
		return nil, true
	}
	weight, n := 0, 0
	for n < len(q.waiting) && (n == 0 || weight+q.waiting[n].op.weight() <= maxBatch) {
		weight += q.waiting[n].op.weight()
		n++
	}
	batch = q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	} else {
		q.signal() // for the other writer
	}
	if n >= crowd {
		q.crowds++
		q.crowded = time.Now()
	}
	return batch, n > 0 || !q.closing
}

// await returns when there may be something to take.
func (q *queue) await() {
	q.mu.Lock()
	some := len(q.waiting) > 0
	q.mu.Unlock()
	var late <-chan time.Time
	if some {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-q.wake:
	case <-q.closed:
	case <-late:
	}
}

// taken ends what take began.
func (q *queue) taken(batch []*member) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(batch) >= crowd {
		q.crowds--
	}
}

// run is the goroutine of a writer. A decide function that ends its goroutine
// (runtime.Goexit, as a failing test does) must not end the store's writing,
// so then another one takes over.
func (w *writer) run() {
	var batch []*member
	clean := false
	defer func() {
		w.disconnect()
		if !clean {
			w.queue.taken(batch)
			answer(batch, fmt.Errorf("a write ended the goroutine that it ran in"))
			go w.run()
			return
		}
		w.queue.writers.Done()
	}()
	for {
		var more bool
		if batch, more = w.queue.take(); !more {
			clean = true
			return
		}
		if len(batch) == 0 {
			w.queue.await()
			continue
		}
		w.commit(batch)
		w.queue.taken(batch)
		// Let those who were just answered come back with their next write,
		// so that it is not a commit late.
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

// pause waits before the next try, the longer the more there were, and never
// as long as another node would.
func (q *queue) pause(try int, longest time.Duration) {
	d := min(time.Millisecond<<min(try, 16), longest)
	d = d/2 + rand.N(d/2+1) //nolint:gosec // to be different, not secret
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.closed: // go on at once: somebody waits for the end
	}
}
