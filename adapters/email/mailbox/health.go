package mailbox

import (
	"sync"

	"github.com/letserverrun/skadi/core/chat"
)

// health is what is wrong with each folder. Each has a connection of its own,
// and the mailbox works if all folders are read.
type health struct {
	mu      sync.Mutex
	trouble map[string]error // by folder
}

// begin notes that no folder is read yet.
func (h *health) begin(folders []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
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
		report(err)
		return
	}
	delete(h.trouble, folder)
	if len(h.trouble) == 0 {
		report(nil)
	}
}
