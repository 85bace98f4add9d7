package slack

import (
	"container/list"
	"context"
	"maps"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// marksFor is how long something is remembered since it was last seen.
	marksFor = 30 * 24 * time.Hour
	// marksAgain is how old a mark is when it is made anew.
	marksAgain = 24 * time.Hour
	// marksKnown bounds what one process remembers by itself.
	marksKnown = 10_000
)

// marks remembers things by name, such as the threads where Skadi takes part:
// each process the newest for itself, and the KV of the account all of them
// for all processes. It is safe for concurrent use.
type marks struct {
	prefix string
	kv     chat.KV
	clock  chat.Clock

	mu     sync.Mutex
	known  map[string]*list.Element // of a mark
	recent *list.List               // the newest first
	unkept map[string]time.Time

	flushing sync.Mutex
}

type mark struct {
	name string
	at   time.Time
}

func newMarks(prefix string, env chat.Env) *marks {
	return &marks{
		prefix: prefix, kv: env.KV, clock: env.Clock,
		known: make(map[string]*list.Element), recent: list.New(), unkept: make(map[string]time.Time),
	}
}

// add marks a name. It reports whether there is something to flush.
func (m *marks) add(name string) bool {
	now := m.clock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.known[name]; ok {
		if now.Sub(e.Value.(*mark).at).Abs() < marksAgain {
			return false
		}
		m.recent.Remove(e)
	}
	m.known[name] = m.recent.PushFront(&mark{name, now})
	for len(m.known) > marksKnown {
		oldest := m.recent.Back()
		delete(m.known, oldest.Value.(*mark).name)
		m.recent.Remove(oldest)
	}
	if m.kv == nil || len(m.unkept) >= marksKnown {
		return false
	}
	m.unkept[name] = now
	return true
}

// has reports whether a name is marked, by whatever process. An error means
// that nobody can tell.
func (m *marks) has(ctx context.Context, name string) (bool, error) {
	now := m.clock()
	m.mu.Lock()
	e, ok := m.known[name]
	ok = ok && now.Sub(e.Value.(*mark).at).Abs() < marksFor
	m.mu.Unlock()
	if ok || m.kv == nil {
		return ok, nil
	}
	_, ok, err := m.kv.Get(ctx, m.prefix+name)
	return ok, err
}

// remove takes a mark away.
func (m *marks) remove(ctx context.Context, name string) error {
	m.mu.Lock()
	if e, ok := m.known[name]; ok {
		m.recent.Remove(e)
		delete(m.known, name)
	}
	delete(m.unkept, name)
	m.mu.Unlock()
	if m.kv == nil {
		return nil
	}
	return m.kv.Delete(ctx, m.prefix+name)
}

// flush keeps what was marked since the last time, unless that is being done.
// What cannot be kept is tried again next time.
func (m *marks) flush(ctx context.Context) {
	if m.kv == nil || !m.flushing.TryLock() {
		return
	}
	defer m.flushing.Unlock()
	for {
		m.mu.Lock()
		todo := m.unkept
		m.unkept = make(map[string]time.Time)
		m.mu.Unlock()
		if len(todo) == 0 {
			return
		}
		for name := range todo {
			if err := m.kv.Set(ctx, m.prefix+name, []byte{'1'}, marksFor); err != nil {
				m.mu.Lock()
				maps.Copy(m.unkept, todo)
				m.mu.Unlock()
				return
			}
			delete(todo, name)
		}
	}
}
