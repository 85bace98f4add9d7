package row

import "github.com/letserverrun/skadi/core/job"

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
