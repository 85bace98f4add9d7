package mysql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/store/group"
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
)

// queue holds the writes that wait for a writer. Each of the writers takes
// whatever queued up during its last commit.
type queue struct {
	*group.Queue[*tx]
	store   *Store
	writers sync.WaitGroup

	mu      sync.Mutex
	crowds  int       // transactions under way with a crowd of members
	crowded time.Time // when the last of them began
	counted Stats
}

type (
	member = group.Member[*tx]
	work   = group.Func[*tx]
)

// write has f done in a transaction and waits until that is durable. f is
// about rows rows' worth of work, and may be called again. If ctx ends first
// its error is returned, and the work is done all the same.
func (s *Store) write(ctx context.Context, rows int, f func(*tx) error) error {
	return s.queue.Do(ctx, &work{Rows: rows, Do: f})
}

// startWriters connects the writers and starts them.
func startWriters(ctx context.Context, s *Store, from *session) (*queue, error) {
	q := &queue{Queue: group.New[*tx](maxBatch), store: s}
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

func (q *queue) stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	st := q.counted
	st.Waiting = q.Waiting()
	return st
}

func (q *queue) count(f func(*Stats)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f(&q.counted)
}

// close has the writers end once nothing waits any more.
func (q *queue) close() {
	q.Close()
	q.writers.Wait()
}

// take returns the next batch, or nothing if that is better left to the writer
// who is at work. more is false once the queue was closed and nothing is left.
func (q *queue) take() (batch []*member, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch, more = q.Take(func(waiting int) bool {
		return q.crowds == 0 || waiting >= plenty || time.Since(q.crowded) >= patience
	})
	if len(batch) >= crowd {
		q.crowds++
		q.crowded = time.Now()
	}
	return batch, more
}

// await returns when there may be something to take.
func (q *queue) await() {
	var late <-chan time.Time
	if q.Waiting() > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-q.Wake():
	case <-q.Closed():
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
			group.Answer(batch, fmt.Errorf("a write ended the goroutine that it ran in"))
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

// pause waits before the next try, the longer the more there were, and never
// as long as another node would.
func (q *queue) pause(try int, longest time.Duration) {
	d := min(time.Millisecond<<min(try, 16), longest)
	d = d/2 + rand.N(d/2+1) //nolint:gosec // to be different, not secret
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.Closed(): // go on at once: somebody waits for the end
	}
}
