package queue

import (
	"context"
	"sync"
)

// tail is one subscriber of an Embedded queue.
type tail struct {
	space string
	limit int
	done  chan struct{} // closed when nothing more comes

	mu      sync.Mutex
	waiting []Message
	held    int // messages on their way to the reader
	ended   bool
	wake    chan struct{} // one signal: something waits
}

// Subscribe returns a live tail of the messages of a space, from now on: all
// that there are at a time, oldest first. The channel is closed when ctx ends,
// when the queue is closed, and when the reader falls too far behind: it then
// has to subscribe again, and to read from the database what it missed.
func (q *Embedded) Subscribe(ctx context.Context, space string) (<-chan []Message, error) {
	t := &tail{space: space, limit: q.cfg.Tail, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isClosed() {
		return nil, ErrClosed
	}
	q.tails[t] = struct{}{}
	c := make(chan []Message)
	go func() {
		defer close(c)
		t.pump(ctx, c)
		q.mu.Lock()
		delete(q.tails, t)
		q.mu.Unlock()
	}()
	return c, nil
}

// add reports whether the subscriber keeps up.
func (t *tail) add(messages []Message) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return false
	}
	for _, m := range messages {
		if m.Space == t.space {
			t.waiting = append(t.waiting, m)
		}
	}
	if t.held+len(t.waiting) > t.limit {
		t.endLocked()
		return false
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
	return true
}

func (t *tail) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLocked()
}

func (t *tail) endLocked() {
	if !t.ended {
		t.ended, t.waiting = true, nil
		close(t.done)
	}
}

// take returns what waits. It counts as lagging until it is delivered.
func (t *tail) take() (batch []Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	batch, t.waiting = t.waiting, nil
	t.held = len(batch)
	return batch
}

// pump hands messages to the reader until ctx ends or the tail does.
func (t *tail) pump(ctx context.Context, c chan<- []Message) {
	for {
		if batch := t.take(); len(batch) > 0 {
			select {
			case c <- batch:
				continue
			case <-t.done:
				return
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-t.wake:
		case <-t.done:
			return
		case <-ctx.Done():
			return
		}
	}
}
