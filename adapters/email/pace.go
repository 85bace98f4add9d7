package email

import (
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// pacePeriod is what Config.Rate counts in.
	pacePeriod = time.Minute
	// pacePeople is how many senders are kept before those that are quiet are
	// forgotten.
	pacePeople = 10_000
)

// pace counts the mails of each sender. Only who was proved is counted, so that
// nobody can use up what is another's.
type pace struct {
	most  int
	clock chat.Clock

	mu     sync.Mutex
	people map[string]*recent
}

// recent are the mails of one sender within the last period.
type recent struct {
	mails []counted
	// told is when the sender heard that it was too much.
	told time.Time
}

type counted struct {
	id string
	at time.Time
}

func newPace(most int, clock chat.Clock) *pace {
	return &pace{most: max(most, 1), clock: clock, people: make(map[string]*recent)}
}

// allow counts a mail and reports whether it is within the rate; one that was
// counted is so again. tell says that the sender has not heard of it yet within
// the period.
func (p *pace) allow(who, id string) (ok, tell bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	r := p.people[who]
	if r == nil {
		p.forget(now)
		r = &recent{}
		p.people[who] = r
	}
	r.expire(now)
	for _, m := range r.mails {
		if m.id == id {
			return true, false
		}
	}
	if len(r.mails) < p.most {
		r.mails = append(r.mails, counted{id, now})
		return true, false
	}
	if age := now.Sub(r.told); age >= 0 && age < pacePeriod {
		return false, false
	}
	r.told = now
	return false, true
}

// expire leaves out what is older than the period, or from the future, as after
// a clock was put back.
func (r *recent) expire(now time.Time) {
	kept := r.mails[:0]
	for _, m := range r.mails {
		if age := now.Sub(m.at); age >= 0 && age < pacePeriod {
			kept = append(kept, m)
		}
	}
	r.mails = kept
}

// forget drops who has been quiet, where there are many.
func (p *pace) forget(now time.Time) {
	if len(p.people) < pacePeople {
		return
	}
	for who, r := range p.people {
		if r.expire(now); len(r.mails) == 0 && now.Sub(r.told) >= pacePeriod {
			delete(p.people, who)
		}
	}
}
