package cli

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockOffset is beyond what is written, since a locked range of a file cannot
// be read by others on Windows.
const lockOffset = 1 << 20

// lockExclusive locks f until it is closed, or returns errHeld.
func lockExclusive(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0,
		&windows.Overlapped{Offset: lockOffset})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errHeld
	}
	return err
}
