package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// The files of a state folder.
const (
	databaseFile = "skadi.db"
	logFile      = "skadi.log"
	lockFile     = "lock"
	agentFolder  = "agent-local"
)

// defaultState is where `up` keeps its things unless --data says otherwise.
func defaultState() (string, error) {
	var base string
	var err error
	switch runtime.GOOS {
	case "windows":
		base, err = os.UserCacheDir() // %LocalAppData%
	case "darwin":
		base, err = os.UserConfigDir() // ~/Library/Application Support
	default:
		base = os.Getenv("XDG_STATE_HOME")
		if !filepath.IsAbs(base) {
			base, err = os.UserHomeDir()
			base = filepath.Join(base, ".local", "state")
		}
	}
	if err != nil {
		return "", fmt.Errorf("there is no folder for Skadi's state (%w); give one with --data DIR", err)
	}
	return filepath.Join(base, "skadi"), nil
}

// stateFolder returns the folder that --data names, or the default one.
func stateFolder(data string) (string, error) {
	if data == "" {
		return defaultState()
	}
	return filepath.Abs(data)
}

// makeState makes a state folder that only its owner can read.
func makeState(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the state folder cannot be made: %w; give another with --data DIR", err)
	}
	return nil
}

// errHeld: another process holds the lock.
var errHeld = errors.New("held by another process")

// lockState keeps a second `up` off the folder until release is called, or
// the process ends. The lock is the operating system's, so that none is left
// behind by a process that was killed.
func lockState(dir string) (release func(), err error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the state folder cannot be written to: %w; give another with --data DIR", err)
	}
	if err := lockExclusive(f); err != nil {
		pid := holder(f)
		_ = f.Close()
		if errors.Is(err, errHeld) {
			return nil, fmt.Errorf("another `skadi up` runs on %s (pid %s); stop it, or give this one a folder of its own with --data DIR", dir, pid)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := errors.Join(f.Truncate(0), writePID(f)); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}

func writePID(f *os.File) error {
	_, err := f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return err
}

// holder reads whose the lock is; the holder writes it right after locking.
func holder(f *os.File) string {
	var pid int
	if _, err := fmt.Fscan(f, &pid); err != nil || pid <= 0 {
		return "unknown"
	}
	return fmt.Sprint(pid)
}
