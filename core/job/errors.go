package job

import (
	"errors"
	"fmt"
)

// Errors of the Store and the Service, to be tested with errors.Is.
var (
	// ErrNotFound: no such job in this space.
	ErrNotFound = errors.New("there is no such job")
	// ErrUnknownAgent: no agent of that name in this space.
	ErrUnknownAgent = errors.New("there is no such agent")
	// ErrAgentRemoved: the agent that calls was removed.
	ErrAgentRemoved = errors.New("this agent was removed")
	// ErrExists: the name is taken.
	ErrExists = errors.New("that name is taken")
	// ErrKeyReused: the idempotency key came before with another body.
	ErrKeyReused = errors.New("this idempotency key was used for a different request")
	// ErrConflict: the job is not in a state that allows the request.
	ErrConflict = errors.New("the job's state does not allow this")
	// ErrFinal: the job is final and never changes again. It is an ErrConflict.
	ErrFinal = fmt.Errorf("%w: it is final", ErrConflict)
	// ErrLease: the lease is not the current one. It is an ErrConflict.
	ErrLease = fmt.Errorf("%w: the lease is not the current one", ErrConflict)
	// ErrInstance: another live instance uses this agent's token.
	ErrInstance = errors.New("another live instance polls with this agent's token")
	// ErrUnavailable: the database cannot be reached at the moment.
	ErrUnavailable = errors.New("the database is not available")
	// ErrFull: the disk is full.
	ErrFull = errors.New("the disk is full")
	// ErrCallbacksOff: the config has nothing to sign callbacks with.
	ErrCallbacksOff = errors.New("cannot be called: callbacks are off")
)

// InvalidError is a value that can never be accepted.
type InvalidError struct {
	Field  string
	Detail string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Detail }

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Detail: fmt.Sprintf(format, args...)}
}

// GapError is output that leaves out a sequence number. It is an ErrConflict.
type GapError struct{ Expected int64 }

func (e *GapError) Error() string {
	return fmt.Sprintf("output is out of order: sequence number %d is expected next", e.Expected)
}

// Is makes a GapError an ErrConflict.
func (e *GapError) Is(target error) bool { return target == ErrConflict }
