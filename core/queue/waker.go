package queue

import (
	"hash/maphash"
	"slices"
	"sync"
)

// wakerShards spreads the keys over locks, so that ten thousand waiters and
// the wakes of a busy node do not meet at one.
const wakerShards = 64

// Waker wakes whoever waits for a key, within one process. It implements
// job.Waker. A watch costs a channel and a map entry, and no goroutine.
type Waker struct {
	seed   maphash.Seed
	shards [wakerShards]wakerShard
}

type wakerShard struct {
	mu      sync.Mutex
	watches map[string][]chan struct{}
}

// NewWaker makes a Waker.
func NewWaker() *Waker {
	w := &Waker{seed: maphash.MakeSeed()}
	for i := range w.shards {
		w.shards[i].watches = make(map[string][]chan struct{})
	}
	return w
}

func (w *Waker) shard(key string) *wakerShard {
	return &w.shards[maphash.String(w.seed, key)%wakerShards]
}

// Wake signals every watch of the keys. It never blocks.
func (w *Waker) Wake(keys ...string) {
	for _, key := range keys {
		s := w.shard(key)
		s.mu.Lock()
		for _, c := range s.watches[key] {
			select {
			case c <- struct{}{}:
			default: // A signal waits there already, and one is enough.
			}
		}
		s.mu.Unlock()
	}
}

// Watch returns a channel that gets a signal when one of the keys is woken
// after the call. Signals coalesce: one that nobody has taken yet stands for
// any number. stop ends the watch; it may be called more than once.
func (w *Waker) Watch(keys ...string) (c <-chan struct{}, stop func()) {
	signal := make(chan struct{}, 1)
	for _, key := range keys {
		s := w.shard(key)
		s.mu.Lock()
		s.watches[key] = append(s.watches[key], signal)
		s.mu.Unlock()
	}
	var once sync.Once
	return signal, func() {
		once.Do(func() {
			for _, key := range keys {
				w.drop(key, signal)
			}
		})
	}
}

func (w *Waker) drop(key string, signal chan struct{}) {
	s := w.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.watches[key]
	i := slices.Index(all, signal)
	if i < 0 {
		return
	}
	if len(all) == 1 {
		delete(s.watches, key)
		return
	}
	s.watches[key] = slices.Delete(all, i, i+1)
}
