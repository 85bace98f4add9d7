package mysql

import (
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// bundle is a row of the table outbox.
type bundle struct {
	seq    int64
	events []*row.NewEvent // nobody changes them
}

const (
	// rememberEvents is how many events are remembered, twice over.
	rememberEvents = 8192
	// rememberText is the longest text of an event that is remembered.
	rememberText = 4096
	// rememberRead bounds what is remembered of events that were read and
	// never marked.
	rememberRead = 1 << 15
	// unpublishedEvery is how often the older table is looked into.
	unpublishedEvery = time.Second
)

// outbox remembers what this process wrote to the table outbox, so that the
// relay need not read it back, and in which row what it read stands. Rows do
// not change but that events go, so what is remembered is right; which rows are
// there is always asked of the database. For any number of goroutines.
type outbox struct {
	mu       sync.Mutex
	now, old map[int64]*bundle
	events   int // in now
	rows     map[row.EventKey]int64
	left     map[int64]int // how many events a row has that was read
	looked   time.Time
}

// add remembers rows that were committed.
func (o *outbox) add(bundles []*bundle) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range bundles {
		long := false
		for _, e := range b.events {
			long = long || len(e.Text) > rememberText
		}
		if long {
			continue
		}
		if o.now == nil || o.events >= rememberEvents {
			o.now, o.old, o.events = map[int64]*bundle{}, o.now, 0
		}
		o.now[b.seq] = b
		o.events += len(b.events)
	}
}

// get returns a row if it is remembered.
func (o *outbox) get(seq int64) *bundle {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.now[seq]; b != nil {
		return b
	}
	return o.old[seq]
}

// look reports whether it is time to look into the table unpublished, where
// mostly nothing is: again at once after something was found.
func (o *outbox) look() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if now.Sub(o.looked) < unpublishedEvery {
		return false
	}
	o.looked = now
	return true
}

// noRow is where an event stands that has a row of its own in unpublished.
const noRow = 0

// read remembers in which row events stand that are handed out, and how many
// the row has.
func (o *outbox) read(events []job.Event, seq int64, of int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rows == nil || len(o.rows) > rememberRead {
		o.rows, o.left = map[row.EventKey]int64{}, map[int64]int{}
	}
	for i := range events {
		o.rows[row.KeyOf(&events[i])] = seq
	}
	if seq != noRow {
		o.left[seq] = of
	} else if len(events) > 0 {
		o.looked = time.Time{}
	}
}

// marks says what is to go from the tables for events that were published:
// whole rows of outbox, parts of rows, rows of unpublished, and events of which
// it is not known where they stand.
type marks struct {
	whole  []int64
	parts  map[int64]map[row.EventKey]bool
	single []row.EventKey
	lost   []row.EventKey
}

// mark returns where the events stand, and forgets it.
func (o *outbox) mark(events []job.Event) (m marks) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m.parts = map[int64]map[row.EventKey]bool{}
	for i := range events {
		k := row.KeyOf(&events[i])
		seq, known := o.rows[k]
		delete(o.rows, k)
		switch {
		case !known:
			m.lost = append(m.lost, k)
		case seq == noRow:
			m.single = append(m.single, k)
		default:
			if m.parts[seq] == nil {
				m.parts[seq] = map[row.EventKey]bool{}
			}
			m.parts[seq][k] = true
		}
	}
	for seq, gone := range m.parts {
		if len(gone) == o.left[seq] {
			m.whole = append(m.whole, seq)
			delete(m.parts, seq)
		}
		delete(o.left, seq)
		delete(o.now, seq)
		delete(o.old, seq)
	}
	return m
}

// forget makes the next read of a row go to the database.
func (o *outbox) forget(seq int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.left, seq)
	delete(o.now, seq)
	delete(o.old, seq)
}
