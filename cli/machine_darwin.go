package cli

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is how long the machine has been up.
func sinceBoot() (time.Duration, error) {
	boot, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return 0, err
	}
	return time.Since(time.Unix(boot.Unix())).Round(time.Second), nil
}
