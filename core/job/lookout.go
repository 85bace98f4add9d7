package job

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// lookEvery is how often a node looks for all who wait at it, since wakes
	// from other nodes may be lost.
	lookEvery = time.Second
	// maxStirred is how many agents are learned of at once. Of more, those
	// that are left out wait for those before them to be served.
	maxStirred = 20_000
	// markBatch is how many jobs are looked at with one query.
	markBatch = 1000
)

// LocalWaker is a Waker that can wake within its own process alone.
type LocalWaker interface {
	Waker
	// WakeLocal signals those in this process who watch one of the keys. It
	// never blocks.
	WakeLocal(keys ...string)
}

// lookout knows what is waited for on this node, and wakes whoever missed a
// wake.
type lookout struct {
	store Store
	wake  func(keys ...string)

	mu     sync.Mutex
	agents map[AgentRef]int // how many wait for it
	jobs   map[string]*watchedJob
}

type watchedJob struct {
	waiters int
	seen    bool // whether it was looked at since the first began to wait
	mark    Mark
}

func newLookout(store Store, w Waker) *lookout {
	wake := w.Wake
	if local, ok := w.(LocalWaker); ok {
		wake = local.WakeLocal
	}
	return &lookout{store: store, wake: wake, agents: map[AgentRef]int{}, jobs: map[string]*watchedJob{}}
}

// begin notes that somebody waits for the keys, until end is called.
func (l *lookout) begin(keys []string) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range keys {
		if ref, ok := agentOf(key); ok {
			l.agents[ref]++
		} else if id, ok := jobOf(key); ok {
			w := l.jobs[id]
			if w == nil {
				w = &watchedJob{}
				l.jobs[id] = w
			}
			w.waiters++
		}
	}
	var once sync.Once
	return func() { once.Do(func() { l.end(keys) }) }
}

func (l *lookout) end(keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range keys {
		if ref, ok := agentOf(key); ok {
			if l.agents[ref]--; l.agents[ref] == 0 {
				delete(l.agents, ref)
			}
		} else if id, ok := jobOf(key); ok {
			if w := l.jobs[id]; w.waiters > 1 {
				w.waiters--
			} else {
				delete(l.jobs, id)
			}
		}
	}
}

func agentOf(key string) (ref AgentRef, ok bool) {
	rest, ok := strings.CutPrefix(key, agentKey)
	if !ok {
		return ref, false
	}
	ref.Space, ref.Name, ok = strings.Cut(rest, "/")
	return ref, ok
}

func jobOf(key string) (id string, ok bool) { return strings.CutPrefix(key, jobKey) }

// look wakes those whose agent has something to do, and those whose job
// changed since the last look. It asks nothing if nobody waits.
func (l *lookout) look(ctx context.Context) error {
	if err := l.lookAtAgents(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	ids := make([]string, 0, len(l.jobs))
	for id := range l.jobs {
		ids = append(ids, id)
	}
	l.mu.Unlock()
	for batch := range slices.Chunk(ids, markBatch) {
		marks, err := l.store.Marks(ctx, batch)
		if err != nil {
			return err
		}
		l.compare(batch, marks)
	}
	return nil
}

func (l *lookout) lookAtAgents(ctx context.Context) error {
	l.mu.Lock()
	waiting := len(l.agents)
	l.mu.Unlock()
	if waiting == 0 {
		return nil
	}
	refs, err := l.store.Stirred(ctx, maxStirred)
	if err != nil {
		return err
	}
	var keys []string
	l.mu.Lock()
	for _, ref := range refs {
		if l.agents[ref] > 0 {
			keys = append(keys, WakeAgent(ref.Space, ref.Name))
		}
	}
	l.mu.Unlock()
	l.wakeAll(keys)
	return nil
}

// compare wakes those who wait for a job whose mark changed, or which was
// never looked at: it may have changed after they read it and before this. A
// job that is gone has no mark, which is a change too.
func (l *lookout) compare(ids []string, marks []Mark) {
	now := make(map[string]Mark, len(marks))
	for _, m := range marks {
		now[m.ID] = m
	}
	var keys []string
	l.mu.Lock()
	for _, id := range ids {
		w := l.jobs[id]
		if w == nil || w.seen && w.mark == now[id] {
			continue
		}
		w.seen, w.mark = true, now[id]
		keys = append(keys, WakeJob(id))
	}
	l.mu.Unlock()
	l.wakeAll(keys)
}

func (l *lookout) wakeAll(keys []string) {
	if len(keys) > 0 {
		l.wake(keys...)
	}
}

// lookOut looks once a second for all who wait at this node.
func (s *Service) lookOut(ctx context.Context) {
	failed := false
	every(ctx, lookEvery, func(ctx context.Context) {
		err := s.lookout.look(ctx)
		if err != nil && ctx.Err() == nil && !failed {
			s.log.Warn("could not look for what other nodes did; who waits here may wait longer", "err", err)
		}
		failed = err != nil
	})
}

// lookBack wakes who may take what the process before this one had offered,
// until all its offers have run out. Each process remembers its own offers, so
// without other nodes nobody else does.
func (s *Service) lookBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.rules().times.Offer+2*lookEvery)
	defer cancel()
	every(ctx, lookEvery, func(ctx context.Context) {
		refs, err := s.store.Stirred(ctx, maxStirred)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("could not look for jobs that were offered before the start; agents that wait may get them later", "err", err)
		}
		keys := make([]string, 0, len(refs))
		for _, ref := range refs {
			keys = append(keys, WakeAgent(ref.Space, ref.Name))
		}
		if len(keys) > 0 {
			s.waker.Wake(keys...)
		}
	})
}
