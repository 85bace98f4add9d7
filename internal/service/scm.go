package service

import (
	"errors"
	"strings"
)

// fitWindows refuses what the Service Control Manager has nothing for.
func (u *Unit) fitWindows() error {
	if len(u.Writable) > 0 {
		return errors.New("--writable is systemd's: on Windows the service may write wherever its user may; " +
			"leave it out, and name a user that may little with --user")
	}
	if u.Unconfined {
		return errors.New("--unconfined is systemd's: on Windows nothing confines a service but its user; leave it out")
	}
	return nil
}

// account is a user as the Service Control Manager takes it; empty is LocalSystem.
func account(user string) string {
	switch strings.ToLower(user) {
	case "", "localsystem":
		return ""
	case "localservice", "networkservice":
		return `NT AUTHORITY\` + user
	}
	if strings.ContainsAny(user, `\@`) {
		return user
	}
	return `.\` + user
}

// What the Service Control Manager says of a service that does not run.
const (
	errorProcessAborted      = 1067 // it ended without a word
	errorServiceNeverStarted = 1077 // since the system's start
)

// windowsState is what state and exit code of a service come to.
func windowsState(state, exit uint32) State {
	switch state {
	case 2, 5: // START_PENDING, CONTINUE_PENDING
		return Starting
	case 3: // STOP_PENDING
		return Stopping
	case 4, 6, 7: // RUNNING, PAUSE_PENDING, PAUSED
		return Running
	}
	switch exit {
	case 0, errorServiceNeverStarted:
		return Stopped
	case errorProcessAborted:
		return Failing // it is started again
	}
	return Failed
}
