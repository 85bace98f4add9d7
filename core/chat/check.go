package chat

import "context"

// Checker is implemented by adapters that can find out whether their account
// would work, before or beside Run: whether the far side takes its
// credentials, and what they may do.
type Checker interface {
	// Check asks the far side and changes nothing there: nothing is received,
	// and nobody is sent anything. It returns soon after ctx ends. What it
	// found is for people, and shows no secret. It may be called on an adapter
	// whose [Env] has only Account, Logger, Clock and HTTP.
	Check(ctx context.Context) []Finding
}

// Level says how bad something is that was found.
type Level string

// The levels.
const (
	// Fine: it is as it should be.
	Fine Level = "ok"
	// Doubtful: it works, or may, and something about it is worth a look.
	Doubtful Level = "warning"
	// Wrong: it does not work.
	Wrong Level = "error"
	// Untried: whether it works was not found out; the text says why.
	Untried Level = "untried"
)

// Finding is one thing that was found out.
type Finding struct {
	Level Level `json:"level"`
	// Text says what was found, in one line.
	Text string `json:"text"`
	// Fix says what to do about it; empty if there is nothing to do.
	Fix string `json:"fix,omitempty"`
}
