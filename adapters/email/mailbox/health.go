package mailbox

import (
	"errors"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// errSilent is reported where not even a first try has ended.
var errSilent = errors.New("no folder is read: the mail server does not answer")

// health is what is wrong with each folder. Each has a connection of its own,
// and the mailbox works if all folders are read.
type health struct {
	mu      sync.Mutex
	folders int
	trouble map[string]error // by folder
	// unread is since when no folder is read; zero: one is.
	unread time.Time
	given  bool // see giveUp
}

// begin notes that no folder is read yet.
func (h *health) begin(folders []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.folders, h.unread, h.given = len(folders), time.Now(), false
	h.trouble = make(map[string]error, len(folders))
	for _, name := range folders {
		h.trouble[name] = chat.ErrConnecting
	}
}

// set notes why a folder is not read, or with nil that it is, and reports how
// the mailbox does.
func (h *health) set(report func(error), folder string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.trouble[folder] = err
		if len(h.trouble) == h.folders && h.unread.IsZero() {
			h.unread = time.Now()
		}
		report(err)
		return
	}
	if h.given {
		return
	}
	delete(h.trouble, folder)
	h.unread = time.Time{}
	if len(h.trouble) == 0 {
		report(nil)
	}
}

// giveUp reports whether no folder has been read for as long as that. From then
// on none counts as read until begin, and what is reported is what was wrong.
func (h *health) giveUp(after time.Duration, report func(error)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unread.IsZero() || time.Since(h.unread) < after {
		return false
	}
	h.given = true
	for _, err := range h.trouble {
		if !errors.Is(err, chat.ErrConnecting) {
			return true // it is reported
		}
	}
	report(errSilent)
	return true
}
