package sqlite

import (
	"slices"
	"sync"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

const (
	// recentMax is how many events are remembered.
	recentMax = 16384
	// recentText is the longest text of an event that is remembered.
	recentText = 4096
)

// recent remembers the newest events that this process committed, so that the
// relay need not read back what was just written. Events never change, so what
// is remembered of one is right. The zero value is ready, for any number of
// goroutines.
//
// The numbers of the outbox follow each other in the order of commits. So once
// everything up to a number is published, and the event of the next number is
// remembered, the events from there on are what is to be published next, as
// far as their numbers leave no gap: the database need not be asked.
type recent struct {
	mu     sync.Mutex
	events []*row.NewEvent // by number, modulo recentMax
	// next is the lowest number that may still be unpublished; 0: not known.
	next int64
	// given are the numbers of the events that were read last, in order.
	given []int64
	names []row.EventKey // of given
}

// add remembers events that were committed.
func (r *recent) add(events []*row.NewEvent) {
	if len(events) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.events == nil {
		r.events = make([]*row.NewEvent, recentMax)
	}
	for _, e := range events {
		at := &r.events[e.Seq%recentMax]
		if *at = nil; len(e.Text) <= recentText {
			*at = e
		}
	}
}

// forget is for when another process has written too, and may publish.
func (r *recent) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.events)
	r.next, r.given, r.names = 0, nil, nil
}

// get returns the event of that number, or nil. Nobody may change it.
func (r *recent) get(seq int64) *row.NewEvent {
	if r.events == nil {
		return nil
	}
	if e := r.events[seq%recentMax]; e != nil && e.Seq == seq {
		return e
	}
	return nil
}

// run returns up to max events that are to be published next, none if that
// takes a look at the database.
func (r *recent) run(max int) (events []job.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == 0 {
		return nil
	}
	var seqs []int64
	for seq := r.next; len(events) < max; seq++ {
		e := r.get(seq)
		if e == nil {
			break
		}
		events, seqs = append(events, e.Event), append(seqs, seq)
	}
	if len(events) > 0 {
		r.note(seqs, events)
	}
	return events
}

// find returns the events of these numbers as far as they are remembered, and
// the numbers of the others.
func (r *recent) find(seqs []int64) (known []*row.NewEvent, missing []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known = make([]*row.NewEvent, len(seqs))
	for i, seq := range seqs {
		if known[i] = r.get(seq); known[i] == nil {
			missing = append(missing, seq)
		}
	}
	return known, missing
}

// give notes which events were read to be published.
func (r *recent) give(seqs []int64, events []job.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(seqs, events)
}

func (r *recent) note(seqs []int64, events []job.Event) {
	r.given, r.names = seqs, r.names[:0]
	for i := range events {
		r.names = append(r.names, row.KeyOf(&events[i]))
	}
}

// seqs returns the numbers of events that were read last, and the events whose
// numbers are not known. all: they are what was read last, no more and no less.
func (r *recent) seqs(events []job.Event) (seqs []int64, others []row.EventKey, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isGiven(events) {
		return slices.Clone(r.given), nil, true
	}
	known := make(map[row.EventKey]int64, len(r.names))
	for i, k := range r.names {
		known[k] = r.given[i]
	}
	for i := range events {
		k := row.KeyOf(&events[i])
		if seq, ok := known[k]; ok {
			seqs = append(seqs, seq)
		} else {
			others = append(others, k)
		}
	}
	return seqs, others, false
}

func (r *recent) isGiven(events []job.Event) bool {
	if len(events) != len(r.names) {
		return false
	}
	for i := range events {
		if row.KeyOf(&events[i]) != r.names[i] {
			return false
		}
	}
	return true
}

// published notes that the events of these numbers are published; all as seqs
// has returned it.
func (r *recent) published(seqs []int64, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.given, r.names = nil, nil
	r.next = 0
	if all && len(seqs) > 0 {
		r.next = seqs[len(seqs)-1] + 1
	}
}
