//go:build !linux && !darwin && !windows

package cli

import (
	"errors"
	"time"
)

// sinceBoot is how long the machine has been up.
func sinceBoot() (time.Duration, error) { return 0, errors.ErrUnsupported }

// diskSpace is the size of the file system that holds path, and what of it
// may still be used, in bytes.
func diskSpace(string) (size, free uint64, err error) { return 0, 0, errors.ErrUnsupported }
