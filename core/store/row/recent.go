package row

import (
	"sync"

	"github.com/letserverrun/skadi/core/job"
)

// Generations is a map that forgets: it holds the last Max entries that were
// put, and up to as many before them. It is for one goroutine at a time.
type Generations[K comparable, V any] struct {
	Max      int
	now, old map[K]V
}

// Get returns the value of k, if it is remembered.
func (g *Generations[K, V]) Get(k K) (V, bool) {
	if v, ok := g.now[k]; ok {
		return v, true
	}
	v, ok := g.old[k]
	return v, ok
}

// Put remembers the value of k.
func (g *Generations[K, V]) Put(k K, v V) {
	if g.now == nil {
		g.now = map[K]V{}
	} else if len(g.now) >= g.Max {
		g.now, g.old = make(map[K]V, g.Max), g.now
	}
	g.now[k] = v
}

// Remove forgets k.
func (g *Generations[K, V]) Remove(k K) {
	delete(g.now, k)
	delete(g.old, k)
}

// Clear forgets everything.
func (g *Generations[K, V]) Clear() { g.now, g.old = nil, nil }

// EventKey names an event.
type EventKey struct {
	Subject string
	Version int64
}

// KeyOf returns the name of an event.
func KeyOf(e *job.Event) EventKey { return EventKey{e.Subject, e.Version} }

const (
	// recentMax is how many events are remembered, twice over.
	recentMax = 8192
	// recentText is the longest text of an event that is remembered.
	recentText = 4096
)

// RecentEvents remembers events that this process committed and that are not
// published yet, so that the relay need not read back what was just written.
// Events never change, so what is remembered is right; whether an event is
// still to be published is always asked of the database. Its zero value is
// ready, for any number of goroutines.
type RecentEvents struct {
	mu     sync.Mutex
	events Generations[EventKey, *NewEvent]
}

// Add remembers events that were committed.
func (r *RecentEvents) Add(events []*NewEvent) {
	if len(events) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events.Max = recentMax
	for _, e := range events {
		if len(e.Text) <= recentText {
			r.events.Put(KeyOf(&e.Event), e)
		}
	}
}

// Get returns an event if it is remembered. Nobody may change it.
func (r *RecentEvents) Get(k EventKey) (*NewEvent, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events.Get(k)
}

// Remove forgets events that were published.
func (r *RecentEvents) Remove(events []job.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range events {
		r.events.Remove(KeyOf(&events[i]))
	}
}
