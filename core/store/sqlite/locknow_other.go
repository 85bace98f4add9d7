//go:build !unix && !windows

package sqlite

import (
	"errors"
	"os"
)

// lockNow fails: there are no locks that end with the process.
func lockNow(*os.File) error { return errors.ErrUnsupported }
