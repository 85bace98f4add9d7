package redis

import "github.com/letserverrun/skadi/core/queue"

// Waker wakes whoever waits for a key, on every node. It implements
// job.Waker.
type Waker struct {
	*queue.Waker
	bus *bus
}

// Waker returns a Waker that wakes those of local at once and those of other
// nodes by Redis. A wake may be lost there: while Redis is away, and a little
// after.
func (q *Queue) Waker(local *queue.Waker) *Waker {
	q.bus.mu.Lock()
	q.bus.wake = local.Wake
	q.bus.mu.Unlock()
	return &Waker{Waker: local, bus: q.bus}
}

// Wake signals every watch of the keys, on this node before it returns. It
// never blocks.
func (w *Waker) Wake(keys ...string) {
	w.Waker.Wake(keys...)
	w.bus.send(keys)
}

// WakeLocal signals every watch of the keys on this node alone. It implements
// job.LocalWaker.
func (w *Waker) WakeLocal(keys ...string) { w.Waker.Wake(keys...) }
