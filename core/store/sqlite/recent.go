package sqlite

import (
	"sync"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
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
	mu     sync.Mutex
	events generations[eventKey, *row.NewEvent]
}

type eventKey struct {
	subject string
	version int64
}

func keyOf(e *job.Event) eventKey { return eventKey{e.Subject, e.Version} }

func newRecentEvents() *recentEvents {
	return &recentEvents{events: generations[eventKey, *row.NewEvent]{max: recentMax}}
}

func (r *recentEvents) add(events []*row.NewEvent) {
	if len(events) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		if len(e.Text) <= recentText {
			r.events.put(keyOf(&e.Event), e)
		}
	}
}

func (r *recentEvents) get(k eventKey) (*row.NewEvent, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events.get(k)
}

func (r *recentEvents) remove(events []job.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range events {
		r.events.remove(keyOf(&events[i]))
	}
}
