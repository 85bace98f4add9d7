package job

import "time"

// Times are the clocks of a job's life. All are positive.
type Times struct {
	// CheckIn is how often an agent must check in.
	CheckIn time.Duration
	// Offline is the silence after which an agent counts as offline.
	Offline time.Duration
	// NoResult is how long a sent job may go without a word of its agent.
	NoResult time.Duration
	// NotTaken is how long a job waits for an agent that is online.
	NotTaken time.Duration
	// MaxRun is how long a job may run, whatever its agent says.
	MaxRun time.Duration
	// Offer is how long an agent has to confirm a job that it was offered.
	Offer time.Duration
	// Approval is how long a job waits for somebody to approve it.
	Approval time.Duration
	// Extend is the shortest time between two writes that only say that a
	// job, or an agent, is still there.
	Extend time.Duration
	// CancelRepeat is how often a cancel wakes the agent again.
	CancelRepeat time.Duration
	// ClockJump is the difference between the wall clock and the monotonic
	// one, or between two passes of the sweeper, that counts as a jump.
	ClockJump time.Duration
}

// DefaultTimes returns the times that hold unless the config says otherwise.
func DefaultTimes() Times {
	return Times{
		CheckIn:      time.Minute,
		Offline:      3 * time.Minute,
		NoResult:     10 * time.Minute,
		NotTaken:     time.Hour,
		MaxRun:       time.Hour,
		Offer:        30 * time.Second,
		Approval:     time.Hour,
		Extend:       15 * time.Second,
		CancelRepeat: 10 * time.Second,
		ClockJump:    5 * time.Second,
	}
}

// withDefaults fills what is not set, and keeps Extend well inside the times
// that it must not outlast.
func (t Times) withDefaults() Times {
	d := DefaultTimes()
	for _, p := range []struct{ v, d *time.Duration }{
		{&t.CheckIn, &d.CheckIn},
		{&t.Offline, &d.Offline},
		{&t.NoResult, &d.NoResult},
		{&t.NotTaken, &d.NotTaken},
		{&t.MaxRun, &d.MaxRun},
		{&t.Offer, &d.Offer},
		{&t.Approval, &d.Approval},
		{&t.Extend, &d.Extend},
		{&t.CancelRepeat, &d.CancelRepeat},
		{&t.ClockJump, &d.ClockJump},
	} {
		if *p.v <= 0 {
			*p.v = *p.d
		}
	}
	t.Extend = min(t.Extend, t.Offline/4, t.NoResult/4)
	return t
}

// Limits bound what is taken in and kept. All are in bytes but LateReports.
type Limits struct {
	// MessageBytes is the longest message of a job.
	MessageBytes int
	// OutputBytes is the longest output of a report; of more, head and tail
	// are kept.
	OutputBytes int
	// LiveBytes is how much live output of one job is kept.
	LiveBytes int
	// LateReports is how many late reports of one job are kept.
	LateReports int
}

// DefaultLimits returns the limits that hold unless the config says otherwise.
func DefaultLimits() Limits {
	return Limits{
		MessageBytes: 64 << 10,
		OutputBytes:  1 << 20,
		LiveBytes:    1 << 20,
		LateReports:  10,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, p := range []struct{ v, d *int }{
		{&l.MessageBytes, &d.MessageBytes},
		{&l.OutputBytes, &d.OutputBytes},
		{&l.LiveBytes, &d.LiveBytes},
		{&l.LateReports, &d.LateReports},
	} {
		if *p.v <= 0 {
			*p.v = *p.d
		}
	}
	return l
}
