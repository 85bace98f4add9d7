package store

import (
	"sync"

	"github.com/letserverrun/skadi/core/job"
)

const (
	// recentMax is how many events are remembered, twice over.
	recentMax = 8192
	// recentText is the longest text of an event that is remembered.
	recentText = 4096
)

// recentEvents remembers events that were committed and are not published
// yet, so that the relay need not read back what was just written. Events
// never change, so what is remembered is right; whether an event is still to
// be published is always asked of the database.
type recentEvents struct {
	mu       sync.Mutex
	now, old map[eventKey]*outboxEvent
}

type eventKey struct {
	subject string
	version int64
}

func keyOf(e *job.Event) eventKey { return eventKey{e.Subject, e.Version} }

func newRecentEvents() *recentEvents {
	return &recentEvents{now: map[eventKey]*outboxEvent{}}
}

func (r *recentEvents) add(events []*outboxEvent) {
	if len(events) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		if len(e.Text) > recentText {
			continue
		}
		if len(r.now) >= recentMax {
			r.now, r.old = make(map[eventKey]*outboxEvent, recentMax), r.now
		}
		r.now[keyOf(&e.Event)] = e
	}
}

func (r *recentEvents) get(k eventKey) (*outboxEvent, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.now[k]; ok {
		return e, true
	}
	e, ok := r.old[k]
	return e, ok
}

func (r *recentEvents) remove(events []job.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range events {
		k := keyOf(&events[i])
		delete(r.now, k)
		delete(r.old, k)
	}
}
