package chat

import (
	"errors"
	"fmt"
	"time"
)

// Class says what to do about a message that could not be sent.
type Class int

// The classes. The zero value is Temporary, which is what an unclassified
// error counts as.
const (
	// Temporary: try again, with backoff, and not before RetryAfter.
	Temporary Class = iota
	// RateLimited: try again after RetryAfter.
	RateLimited
	// Auth: the account's credentials do not work; the account is paused.
	Auth
	// Gone: the conversation is no more; nothing further is sent to it. Of an
	// edit it says no more than Permanent.
	Gone
	// Permanent: this message can never be sent; the next one may. What could
	// not be edited is sent as a new message.
	Permanent
	// Shut: nothing more is taken in answer to the message that is answered.
	// Where its Quota renews, what is left waits for the next message there;
	// elsewhere it says no more than Permanent.
	Shut
)

// String returns the class in lower case, as logs and metrics show it.
func (c Class) String() string {
	switch c {
	case Temporary:
		return "temporary"
	case RateLimited:
		return "rate_limited"
	case Auth:
		return "auth"
	case Gone:
		return "gone"
	case Permanent:
		return "permanent"
	case Shut:
		return "shut"
	}
	return fmt.Sprintf("class(%d)", int(c))
}

// SendError is the error of Adapter.Send.
type SendError struct {
	Class Class
	// RetryAfter is how long the far side asked to wait; 0 when it did not say.
	RetryAfter time.Duration
	Err        error
}

func (e *SendError) Error() string { return fmt.Sprintf("%s: %v", e.Class, e.Err) }

func (e *SendError) Unwrap() error { return e.Err }

// Classify returns err as a SendError; one that is not classified is Temporary.
func Classify(err error) *SendError {
	var se *SendError
	if errors.As(err, &se) {
		return se
	}
	return &SendError{Class: Temporary, Err: err}
}
