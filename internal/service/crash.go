package service

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
)

// maxCrash is how much of an earlier crash is read, in bytes.
const maxCrash = 64 << 10

// keepCrash has the stacks that the runtime prints when the program crashes go to
// a file too, where nobody reads what it prints. It returns what an earlier crash
// left there. The folder may be open to others: what somebody else put there is
// not written to.
func keepCrash(file string) (earlier string, err error) {
	earlier, err = readCrash(file)
	if err != nil {
		return "", err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return earlier, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // ours
	if err != nil {
		return earlier, err
	}
	// The runtime writes to a handle of its own.
	return earlier, errors.Join(debug.SetCrashOutput(f, debug.CrashOptions{}), f.Close())
}

func readCrash(file string) (text string, err error) {
	is, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case !is.Mode().IsRegular():
		return "", nil // a link, say: not ours
	}
	f, err := os.Open(file) //nolint:gosec // ours
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	all, err := io.ReadAll(io.LimitReader(f, maxCrash))
	return string(all), err
}
