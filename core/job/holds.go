package job

import (
	"errors"
	"sync"
	"time"
)

// holds remembers, per node, what agents said of the jobs that they run and
// what they were told, so that neither costs a write or a wake each time.
type holds struct {
	mu     sync.Mutex
	word   map[string]holdWord // by job ID
	offers []offer             // oldest first
}

type holdWord struct {
	lease   string
	at      time.Time // when the agent's word was last taken
	told    time.Time // when a cancel was last told
	overrun bool
}

type offer struct {
	wake  string
	until time.Time
}

// due returns the holds whose word is worth a write again.
func (h *holds) due(running []Hold, now time.Time, period time.Duration) []Hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	var due []Hold
	for _, r := range running {
		w := h.word[r.ID]
		if w.lease != r.Lease {
			w = holdWord{lease: r.Lease}
		}
		if now.Sub(w.at).Abs() >= period {
			due = append(due, r)
			w.at = now
		}
		h.word[r.ID] = w
	}
	return due
}

// learn notes which of the jobs, updated in the order of ids, ran for too
// long. Of one that is not the agent's nothing is kept, so that no agent can
// fill the memory with names of its own making.
func (h *holds) learn(ids []string, us []Updated, leases map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, u := range us {
		if errors.Is(u.Err, ErrNotFound) {
			delete(h.word, ids[i])
			continue
		}
		w := h.word[u.Job.ID]
		w.overrun = u.Job.Status == Expired && u.Job.Reason == MaxRun && u.Job.Lease == leases[u.Job.ID]
		h.word[u.Job.ID] = w
	}
}

// forget makes the agent's word for the jobs worth a write the next time.
func (h *holds) forget(ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		delete(h.word, id)
	}
}

func (h *holds) overrun(running []Hold) (over []Hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range running {
		if h.word[r.ID].overrun {
			over = append(over, r)
		}
	}
	return over
}

// tell returns the cancels to tell now, once per lease and then only once in
// each period, and how long until one is to be told again.
func (h *holds) tell(cancels []Hold, now time.Time, period time.Duration) (tell []Hold, again time.Duration) {
	if len(cancels) == 0 {
		return nil, 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range cancels {
		w := h.word[c.ID]
		if w.lease != c.Lease {
			w = holdWord{lease: c.Lease}
		}
		if left := period - now.Sub(w.told); !w.told.IsZero() && left > 0 && left <= period {
			if again == 0 || left < again {
				again = left
			}
			continue
		}
		w.told = now
		h.word[c.ID] = w
		tell = append(tell, c)
	}
	return tell, again
}

// offered remembers to wake the agent when an offer runs out.
func (h *holds) offered(wake string, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.offers); n > 0 && h.offers[n-1].wake == wake && until.Sub(h.offers[n-1].until) < time.Second {
		h.offers[n-1].until = until
		return
	}
	h.offers = append(h.offers, offer{wake: wake, until: until})
}

// lapsed returns whom to wake because an offer ran out, and forgets what is old.
func (h *holds) lapsed(now time.Time, keep time.Duration) (wake []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.offers) > 0 && !now.Before(h.offers[0].until) {
		wake = append(wake, h.offers[0].wake)
		h.offers = h.offers[1:]
	}
	for id, w := range h.word {
		if now.Sub(w.at).Abs() > keep && now.Sub(w.told).Abs() > keep {
			delete(h.word, id)
		}
	}
	return wake
}
