package agent

import (
	"context"
	"sync"
	"time"
)

// queue hands items to workers, each as many as have gathered.
type queue[T any] struct {
	mu    sync.Mutex
	items []T
	wake  chan struct{}
}

func newQueue[T any]() *queue[T] { return &queue[T]{wake: make(chan struct{}, 1)} }

func (q *queue[T]) add(items ...T) {
	if len(items) == 0 {
		return
	}
	q.mu.Lock()
	q.items = append(q.items, items...)
	q.mu.Unlock()
	signal(q.wake)
}

// take waits for items and returns those that fit: it asks fits for each, with
// the number taken before it, and takes at least one. It returns none when ctx
// has ended.
func (q *queue[T]) take(ctx context.Context, fits func(n int, item T) bool) []T {
	for {
		if ctx.Err() != nil {
			return nil
		}
		q.mu.Lock()
		n := 0
		for n < len(q.items) && (fits(n, q.items[n]) || n == 0) {
			n++
		}
		taken := append([]T(nil), q.items[:n]...)
		clear(q.items[:n])
		q.items = q.items[n:]
		more := len(q.items) > 0
		q.mu.Unlock()
		if more {
			signal(q.wake)
		}
		if n > 0 {
			return taken
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// signal sends without waiting; c has room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
