package service

import (
	"errors"
	"io/fs"
	"os"
	"runtime/debug"
)

// keepCrash has the stacks that the runtime prints when the program crashes go to
// a file too, where nobody reads what it prints. It returns what an earlier crash
// left there.
func keepCrash(file string) (earlier string, err error) {
	text, err := os.ReadFile(file) //nolint:gosec // ours
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	f, err := os.Create(file) //nolint:gosec // same
	if err != nil {
		return string(text), err
	}
	// The runtime writes to a handle of its own.
	return string(text), errors.Join(debug.SetCrashOutput(f, debug.CrashOptions{}), f.Close())
}
