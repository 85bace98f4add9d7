package cli

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is how long the machine has been up.
func sinceBoot() (time.Duration, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, err
	}
	return time.Duration(info.Uptime) * time.Second, nil
}
