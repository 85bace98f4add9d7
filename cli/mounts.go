package cli

import (
	"net/http"
	"sync"

	"github.com/letserverrun/skadi/core/chat"
)

// mounts are the handlers of the accounts that receive over HTTP. A call that
// one of them has begun it ends, whatever takes its place meanwhile.
type mounts struct {
	mu  sync.RWMutex
	all map[string]http.Handler
}

func (m *mounts) get(account string) (http.Handler, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	h, ok := m.all[account]
	return h, ok
}

// put mounts the handler of an account's adapter, or none if it has none.
func (m *mounts) put(account string, adapter chat.Adapter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := adapter.(chat.Pushed)
	if !ok {
		delete(m.all, account)
		return
	}
	if m.all == nil {
		m.all = map[string]http.Handler{}
	}
	m.all[account] = p.Handler()
}
