package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// lockPatience is how long Lock tries. A process that was killed while it
	// started a command leaves its lock to the child until that has become the
	// command, which closes it.
	lockPatience = 2 * time.Second
	lockRetry    = 20 * time.Millisecond
)

// ErrLocked is wrapped by the error of Lock when another process holds it.
var ErrLocked = errors.New("is in use by another agent")

// Lock takes the state folder for this process until the returned function is
// called or the process ends; it waits a moment for one that is just ending. It
// makes the folder, for this user alone, if it
// is not there.
func Lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	if err := checkMode(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "lock")
	f, taken, err := openLocked(path)
	for begin := time.Now(); err == nil && !taken && time.Since(begin) < lockPatience; {
		<-time.After(lockRetry)
		f, taken, err = openLocked(path)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("lock the state folder %s: %w", dir, err)
	case !taken:
		who := ""
		if pid, err := os.ReadFile(path); err == nil && len(pid) > 0 { // unreadable on Windows while locked
			who = ", process " + strings.TrimSpace(string(pid))
		}
		return nil, fmt.Errorf("the state folder %s %w%s; give each agent a folder of its own", dir, ErrLocked, who)
	}
	// The number only helps whoever reads the message above.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return func() { _ = f.Close() }, nil
}
