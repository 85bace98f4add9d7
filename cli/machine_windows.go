package cli

import (
	"time"

	"golang.org/x/sys/windows"
)

// sinceBoot is how long the machine has been up.
func sinceBoot() (time.Duration, error) { return windows.DurationSinceBoot(), nil }

// diskSpace is the size of the volume that holds path, and what of it may
// still be used, in bytes.
func diskSpace(path string) (size, free uint64, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	err = windows.GetDiskFreeSpaceEx(name, &free, &size, nil)
	return size, free, err
}
