package cli

import (
	"errors"
	"fmt"
)

// Exit codes of every command. 3, 4 and 5 are of push alone.
const (
	exitOK       = 0
	exitFailed   = 1 // the command, or the job, failed
	exitUsage    = 2 // the command line is wrong, or the server refused it
	exitExpired  = 3 // the job expired
	exitCanceled = 4 // the job was canceled
	exitNoAnswer = 5 // the server was out of reach, or the wait is over
)

// exitError ends the program with a code. One without a text has been told
// already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exitWith ends the program with a code and nothing more to say.
func exitWith(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

// usage is an error in what was typed.
func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// codeOf returns the exit code of an error, and whether it is still to be told.
func codeOf(err error) (code int, tell bool) {
	if err == nil {
		return exitOK, false
	}
	var e *exitError
	if errors.As(err, &e) {
		return e.code, e.err != nil
	}
	return exitFailed, true
}
