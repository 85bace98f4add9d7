package mailbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// leases are those of a database.
type leases struct {
	mu     sync.Mutex
	holder string
	until  time.Time
	down   bool
	// freed gets one for each time that the lease is given back, if it is not nil.
	freed chan struct{}
}

func (l *leases) of(name string) chat.Leaser { return &leaser{l, name} }

type leaser struct {
	*leases
	self string
}

// Acquire implements chat.Leaser.
func (l *leaser) Acquire(ctx context.Context, _ string, ttl time.Duration) (int64, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return 0, false, errors.New("the database is down")
	}
	if l.holder != l.self && time.Now().Before(l.until) {
		return 0, false, nil
	}
	l.holder, l.until = l.self, time.Now().Add(ttl)
	return 1, true, ctx.Err()
}

// Release implements chat.Leaser.
func (l *leaser) Release(context.Context, string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder == l.self {
		l.until = time.Time{}
		if l.freed != nil {
			l.freed <- struct{}{}
		}
	}
	return nil
}

// TestLease has two nodes read one mailbox: one does, and the other takes over
// when it ends, or when it loses its lease.
func TestLease(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	var l leases
	node := func(name string) (*Mailbox, *taker) {
		own := newTaker()
		c := f.config(k)
		c.Lease = l.of(name)
		c.Handle = func(ctx context.Context, m Mail) error { _ = own.take(ctx, m); return k.take(ctx, m) }
		b := open(t, c)
		b.times.lease = 300 * time.Millisecond
		return b, own
	}
	a, tookA := node("a")
	endA := start(t, a)
	f.add(letter("one"))
	k.upTo(t, "one")
	b, tookB := node("b")
	start(t, b)
	f.add(letter("two"))
	k.upTo(t, "two")
	endA()
	f.add(letter("three"))
	k.upTo(t, "three")
	if got, want := tookA.taken(), []string{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("a took %v", got)
	}
	if got, want := tookB.taken(), []string{"three"}; !slices.Equal(got, want) {
		t.Errorf("b took %v", got)
	}
}

// TestLeaseIsLost ends the context of what is under way.
func TestLeaseIsLost(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"another has it", "the database is down"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			f, k := newFake(t), newTaker()
			var l leases
			c := f.config(k)
			c.Lease = l.of("a")
			began, ended := make(chan struct{}, 1), make(chan struct{}, 1)
			c.Handle = func(ctx context.Context, m Mail) error {
				if subjectOf(m.Raw) == "first" && len(k.taken()) == 0 {
					began <- struct{}{}
					<-ctx.Done()
					ended <- struct{}{}
					_ = k.take(ctx, m)
					return ctx.Err()
				}
				return k.take(ctx, m)
			}
			b := open(t, c)
			b.times.lease = 200 * time.Millisecond
			start(t, b)
			f.add(letter("first"))
			<-began
			l.mu.Lock()
			if how == "another has it" {
				l.holder, l.until = "b", time.Now().Add(time.Second)
			} else {
				l.down = true
			}
			l.mu.Unlock()
			<-ended
			if got := f.flagsOf(1); len(got) > 0 {
				t.Errorf("it is marked: %v", got)
			}
			l.mu.Lock()
			l.down = false
			l.mu.Unlock()
			k.upTo(t, "first")
			k.upTo(t, "first")
		})
	}
}
