package official

import (
	"sync"
	"time"
)

// strangersEvery is how often the log says that calls prove nothing.
const strangersEvery = time.Minute

// rarely keeps something from being told too often.
type rarely struct {
	mu   sync.Mutex
	last time.Time
}

// tell reports whether it is time to tell it again.
func (r *rarely) tell(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.last).Abs() < strangersEvery {
		return false
	}
	r.last = now
	return true
}
