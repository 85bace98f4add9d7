package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// leaser is the store's leases, and remembers which of them this node holds.
type leaser struct {
	chat.Leaser
	now chat.Clock

	mu sync.Mutex
	// until is when each lease that was ever asked for runs out by this node's
	// clock; zero for one that it does not hold.
	until map[string]time.Time
}

// Acquire implements chat.Leaser.
func (l *leaser) Acquire(ctx context.Context, name string, ttl time.Duration) (int64, bool, error) {
	asked := l.now()
	epoch, held, err := l.Leaser.Acquire(ctx, name, ttl)
	if err != nil {
		return epoch, held, err // what was held before runs on
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until[name] = time.Time{}
	if held {
		l.until[name] = asked.Add(ttl)
	}
	return epoch, held, nil
}

// Release implements chat.Leaser.
func (l *leaser) Release(ctx context.Context, name string) error {
	l.mu.Lock()
	l.until[name] = time.Time{}
	l.mu.Unlock()
	return l.Leaser.Release(ctx, name)
}

// duties returns the leases that were ever asked for, and whether this node
// holds them.
func (l *leaser) duties() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	held := make(map[string]bool, len(l.until))
	for name, until := range l.until {
		held[name] = now.Before(until)
	}
	return held
}

// held returns the names of those that this node holds, in order.
func (l *leaser) held() (names []string) {
	for name, held := range l.duties() {
		if held {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// OwnLeases are leases whose names all begin with prefix, so that those who
// call theirs the same do not share one.
func OwnLeases(of chat.Leaser, prefix string) chat.Leaser { return ownLeases{of, prefix} }

type ownLeases struct {
	of     chat.Leaser
	prefix string
}

// Acquire implements chat.Leaser.
func (l ownLeases) Acquire(ctx context.Context, name string, ttl time.Duration) (epoch int64, held bool, err error) {
	return l.of.Acquire(ctx, l.prefix+name, ttl)
}

// Release implements chat.Leaser.
func (l ownLeases) Release(ctx context.Context, name string) error {
	return l.of.Release(ctx, l.prefix+name)
}
