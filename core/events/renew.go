package events

import "time"

// Renew forgets what was wrong with an account that has another adapter now,
// or is there for the first time: what waits for it is tried again at once.
func (r *Replier) Renew(account string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lane(account)
	l.pausedUntil, l.pauses, l.orphan = time.Time{}, 0, false
	for _, t := range append(r.parts[:len(r.parts):len(r.parts)], r.local) {
		if t == nil {
			continue
		}
		for id, c := range t.convs {
			if id.account == account && c.timer != nil {
				c.notYet = time.Time{}
				r.enqueue(c)
			}
		}
	}
}
