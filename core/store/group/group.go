// Package group has writes wait for a transaction that many of them share, so
// that one commit serves them all. Whoever commits takes whatever queued up
// during the last commit: no timer, no waiting for more.
package group

import (
	"context"
	"fmt"
	"sync"

	"github.com/letserverrun/skadi/core/job"
)

// maxWaiting bounds the writes that wait: with more the database is as good as
// away.
const maxWaiting = 16384

// Why a write is not taken.
var (
	ErrClosed = fmt.Errorf("%w: the store is closed", job.ErrUnavailable)
	ErrFull   = fmt.Errorf("%w: too many writes are waiting already", job.ErrUnavailable)
)

// Op is a write in a transaction T. It may be done again in another one if the
// first is rolled back.
type Op[T any] interface {
	// Weight is about how many rows it writes.
	Weight() int
	// Apply does the work. A refusal goes to the caller; any other error rolls
	// the transaction back.
	Apply(t T) error
}

// Func is an Op made of a function, of about so many rows' worth of work.
type Func[T any] struct {
	Rows int
	Do   func(T) error
}

// Weight implements Op.
func (f *Func[T]) Weight() int { return f.Rows }

// Apply implements Op.
func (f *Func[T]) Apply(t T) error { return f.Do(t) }

// Member is one write of a transaction: its work, and what its caller is told if
// the transaction is committed.
type Member[T any] struct {
	Op  Op[T]
	Err error

	done chan struct{}
}

// Queue holds the writes that wait. It is safe for concurrent use.
type Queue[T any] struct {
	most int
	wake chan struct{} // has room for one signal

	mu      sync.Mutex
	waiting []*Member[T]
	closed  chan struct{} // once Close was called
}

// New returns a queue whose batches weigh up to most, so that nobody waits long
// for one.
func New[T any](most int) *Queue[T] {
	return &Queue[T]{most: most, wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

// Do has the op done in one of the next transactions and waits until that is
// durable. If ctx ends first its error is returned, and the op is done all the
// same.
func (q *Queue[T]) Do(ctx context.Context, o Op[T]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := &Member[T]{Op: o, done: make(chan struct{})}
	if err := q.put(m); err != nil {
		return err
	}
	q.signal()
	select {
	case <-m.done:
		return m.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *Queue[T]) put(m *Member[T]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.isClosed():
		return ErrClosed
	case len(q.waiting) >= maxWaiting:
		return ErrFull
	}
	q.waiting = append(q.waiting, m)
	return nil
}

func (q *Queue[T]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Wake has a signal when there may be something to take. With several who wait
// for it, one of them gets it.
func (q *Queue[T]) Wake() <-chan struct{} { return q.wake }

// Closed ends with Close.
func (q *Queue[T]) Closed() <-chan struct{} { return q.closed }

func (q *Queue[T]) isClosed() bool {
	select {
	case <-q.closed:
		return true
	default:
		return false
	}
}

// Waiting is how many writes wait.
func (q *Queue[T]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Alive returns ErrClosed once Close was called.
func (q *Queue[T]) Alive() error {
	if q.isClosed() {
		return ErrClosed
	}
	return nil
}

// Close has the queue take no more. What waits is still handed out.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.isClosed() {
		close(q.closed)
	}
}

// Take returns the next batch: what is waiting, in order, up to the queue's
// weight; nothing if that is better left to somebody else, as may says of the
// number that wait; nil says that there is nobody else. A closed queue does not
// ask it. more is false once the queue was closed and nothing is left.
func (q *Queue[T]) Take(may func(waiting int) bool) (batch []*Member[T], more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if may != nil && !q.isClosed() && !may(len(q.waiting)) {
		return nil, true
	}
	weight, n := 0, 0
	for n < len(q.waiting) && (n == 0 || weight+q.waiting[n].Op.Weight() <= q.most) {
		weight += q.waiting[n].Op.Weight()
		n++
	}
	batch = q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	} else {
		q.signal() // for whoever else takes
	}
	return batch, n > 0 || !q.isClosed()
}

// Answer tells the callers what became of a batch: err, or what their member
// has. Who was answered before is not told again.
func Answer[T any](batch []*Member[T], err error) {
	for _, m := range batch {
		select {
		case <-m.done:
		default:
			if m.Err == nil {
				m.Err = err
			}
			close(m.done)
		}
	}
}
