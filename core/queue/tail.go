package queue

import (
	"context"
	"sync"
)

// Tails hands messages to live readers, each of which sees one space. It is a
// part of a queue. Its methods may be called concurrently.
type Tails struct {
	limit int

	mu   sync.Mutex
	open map[*tail]struct{}
}

// NewTails makes a Tails whose readers may lag behind by limit messages.
func NewTails(limit int) *Tails {
	return &Tails{limit: limit, open: make(map[*tail]struct{})}
}

// Subscribe returns a live tail of the messages of a space that are added from
// now on: all that there are at a time, oldest first. The channel is closed
// when ctx ends, at End, and when the reader falls too far behind.
func (ts *Tails) Subscribe(ctx context.Context, space string) <-chan []Message {
	t := &tail{space: space, limit: ts.limit, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	ts.mu.Lock()
	ts.open[t] = struct{}{}
	ts.mu.Unlock()
	c := make(chan []Message)
	go func() {
		defer close(c)
		t.pump(ctx, c)
		ts.mu.Lock()
		delete(ts.open, t)
		ts.mu.Unlock()
	}()
	return c
}

// Add hands messages to the readers. It never blocks.
func (ts *Tails) Add(messages []Message) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for t := range ts.open {
		if !t.add(messages) {
			delete(ts.open, t)
		}
	}
}

// Len returns how many readers there are.
func (ts *Tails) Len() int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return len(ts.open)
}

// End ends the readers that there are: some messages do not reach them.
func (ts *Tails) End() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for t := range ts.open {
		t.end()
	}
	clear(ts.open)
}

// tail is one reader.
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

// add reports whether the reader keeps up.
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
