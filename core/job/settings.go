package job

import "time"

// settings are what of a service's config may change while it runs.
type settings struct {
	rules     rules
	retention time.Duration
	// replaced is closed once other settings hold.
	replaced chan struct{}
}

func newSettings(t Times, l Limits, retention time.Duration) *settings {
	return &settings{
		rules:     rules{times: t.withDefaults(), limits: l.withDefaults()},
		retention: retention, replaced: make(chan struct{}),
	}
}

// rules returns the rules that hold now.
func (s *Service) rules() rules { return s.holding.Load().rules }

// Apply has other times, limits and another retention hold for all that
// happens from now on; a deadline that is set already stays. No agent expires
// for a silence that was allowed until now.
func (s *Service) Apply(t Times, l Limits, retention time.Duration) {
	next := newSettings(t, l, retention)
	before := s.holding.Swap(next)
	if offline := next.rules.times.Offline; offline != before.rules.times.Offline {
		s.outage.changed(offline)
	}
	close(before.replaced)
}
