package intake

import (
	"context"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/access"
)

// What Config.StrangerEvery and Config.Strangers are unless they are set.
const (
	DefaultStrangerEvery = 10 * time.Minute
	DefaultStrangers     = 1000
)

// strangerText is all that somebody learns whom no rule names.
const strangerText = "Skadi does not know you, so nothing was done. If you should have access, ask the people who run it."

// stranger answers somebody whom no rule names: always the same, and not
// often. What is not answered is not stored either, so that strangers cannot
// fill the database.
func (a *ask) stranger(ctx context.Context) error {
	if !a.strangers.admit(a.who, a.now) {
		a.log.DebugContext(ctx, "ignored a stranger who was answered already", "account", a.account, "who", a.who)
		return nil
	}
	err := a.refuse(ctx, refusal{
		action: access.Send, why: "no rule names " + a.who,
		text: strangerText, silent: true,
	})
	if err != nil {
		// The far side delivers the message again, and it must be answered then.
		a.strangers.forget(a.who)
	}
	return err
}

// strangers remembers who was answered lately, on each node for itself: one
// who meets several nodes may be answered by each. It may be used concurrently.
type strangers struct {
	every time.Duration
	max   int

	mu       sync.Mutex
	answered map[string]time.Time
}

func newStrangers(every time.Duration, max int) *strangers {
	if every <= 0 {
		every = DefaultStrangerEvery
	}
	if max <= 0 {
		max = DefaultStrangers
	}
	return &strangers{every: every, max: max, answered: map[string]time.Time{}}
}

// admit reports whether who is to be answered now, and counts it as done.
func (s *strangers) admit(who string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.answered[who]; ok && s.recent(at, now) {
		return false
	}
	if len(s.answered) >= s.max {
		for name, at := range s.answered {
			if !s.recent(at, now) {
				delete(s.answered, name)
			}
		}
		if len(s.answered) >= s.max {
			return false
		}
	}
	s.answered[who] = now
	return true
}

// recent is about the distance, so that a clock that was set back by a day
// does not silence anybody for a day.
func (s *strangers) recent(at, now time.Time) bool { return now.Sub(at).Abs() < s.every }

func (s *strangers) forget(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.answered, who)
}
