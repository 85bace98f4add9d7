package chat

import (
	"sync"
	"time"
)

// StrangersEvery is how often Rarely lets something be told.
const StrangersEvery = time.Minute

// Rarely keeps something from being told too often, such as in the log that
// calls from strangers prove nothing, so that strangers cannot fill it. The
// zero value is ready; its method may be called concurrently.
type Rarely struct {
	mu   sync.Mutex
	last time.Time
}

// Tell reports whether it is time to tell it again.
func (r *Rarely) Tell(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.last).Abs() < StrangersEvery {
		return false
	}
	r.last = now
	return true
}
