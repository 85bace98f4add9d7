package node

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// memory is a store of nodes.
type memory struct {
	mu     sync.Mutex
	nodes  map[string]Node
	leases []Lease
	away   bool
}

var errAway = errors.New("the database is away")

func newMemory() *memory { return &memory{nodes: map[string]Node{}} }

func (m *memory) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *memory) do(f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return errAway
	}
	f()
	return nil
}

func (m *memory) Now(context.Context) (now time.Time, err error) {
	return time.Now(), m.do(func() {})
}

func (m *memory) SaveNode(_ context.Context, n Node) error {
	return m.do(func() { n.SeenAt = time.Now(); m.nodes[n.ID] = n })
}

func (m *memory) RemoveNode(_ context.Context, id string) error {
	return m.do(func() { delete(m.nodes, id) })
}

func (m *memory) Nodes(context.Context) (all []Node, err error) {
	err = m.do(func() {
		for _, n := range m.nodes {
			all = append(all, n)
		}
		slices.SortFunc(all, func(a, b Node) int { return b.StartedAt.Compare(a.StartedAt) })
	})
	return all, err
}

func (m *memory) PruneNodes(_ context.Context, before time.Time) error {
	return m.do(func() {
		for id, n := range m.nodes {
			if n.SeenAt.Before(before) {
				delete(m.nodes, id)
			}
		}
	})
}

func (m *memory) Leases(context.Context) (all []Lease, err error) {
	err = m.do(func() { all = slices.Clone(m.leases) })
	return all, err
}

// running starts a registry; stop ends it and waits.
func running(t *testing.T, m *memory, id string) (r *Registry, stop func()) {
	t.Helper()
	r = NewRegistry(RegistryConfig{Store: m, Self: Node{ID: id, Host: "host-" + id, StartedAt: time.Now()}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	return r, func() { cancel(); <-done }
}

func alive(all []Status) (ids []string) {
	for _, n := range all {
		if n.Alive {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

func TestNodesSeeEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, stopA := running(t, m, "a")
		pass(time.Minute)
		_, stopB := running(t, m, "b")
		synctest.Wait()
		m.mu.Lock()
		m.nodes["killed"] = Node{ID: "killed", SeenAt: time.Now(), StartedAt: time.Now()}
		m.leases = []Lease{{Name: "relay", Holder: "b"}, {Name: "sweep", Holder: "b"}, {Name: "mailbox", Holder: "killed"}}
		m.mu.Unlock()
		all, err := a.List(t.Context())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"killed", "b", "a"}, alive(all))
		require.Equal(t, "a", all[2].ID)
		i := slices.IndexFunc(all, func(n Status) bool { return n.ID == "b" })
		require.Equal(t, []string{"relay", "sweep"}, all[i].Duties)
		require.Equal(t, "host-a", all[2].Host)

		pass(AliveFor + heartbeat)
		all, err = a.List(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 3, "who is gone is shown for a while")
		require.Equal(t, []string{"b", "a"}, alive(all))
		require.Equal(t, []string{"b", "a"}, alive(a.Known()))

		pass(2 * keepFor)
		all, err = a.List(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 2)

		stopB()
		all, err = a.List(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1, "who stops is gone at once")
		stopA()
	})
}

func TestRegistryOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, stop := running(t, m, "a")
		synctest.Wait()
		m.setAway(true)
		pass(time.Hour)
		_, err := a.List(t.Context())
		require.ErrorIs(t, err, errAway)
		require.Empty(t, alive(a.Known()), "nobody is known to be there")
		m.setAway(false)
		pass(heartbeat)
		synctest.Wait()
		all, err := a.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, alive(all))
		m.setAway(true)
		stop()
	})
}

// Every duty has one node that comes first, and the duties are spread fairly.
func TestRank(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		regs := map[string]*Registry{}
		for _, id := range []string{"a", "b", "c"} {
			r, stop := running(t, m, id)
			defer stop()
			regs[id] = r
		}
		require.Equal(t, 0, NewRegistry(RegistryConfig{Store: m, Self: Node{ID: "d"}}).Rank(3), "nothing is known yet")
		pass(2 * heartbeat)
		first := map[string]int{}
		for i := range 16 {
			var ranks []int
			for id, r := range regs {
				rank := r.Rank(i)
				if ranks = append(ranks, rank); rank == 0 {
					first[id]++
				}
			}
			slices.Sort(ranks)
			require.Equal(t, []int{0, 1, 2}, ranks)
		}
		for id, n := range first {
			require.Contains(t, []int{5, 6}, n, id)
		}
	})
}

func TestDutiesOfARegistry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, l := newMemory(), newLeases()
		r := NewRegistry(RegistryConfig{Store: m, Self: Node{ID: "a"}, Lease: l.of("a")})
		_, _, err := l.of("b").Acquire(t.Context(), "relay", time.Minute)
		require.NoError(t, err)
		lease := r.Leaser()
		for _, name := range []string{"sweep", "relay", "mailbox"} {
			_, _, err := lease.Acquire(t.Context(), name, time.Minute)
			require.NoError(t, err)
		}
		require.NoError(t, lease.Release(t.Context(), "mailbox"))
		require.Equal(t, map[string]bool{"sweep": true, "relay": false, "mailbox": false}, r.Duties())
		require.NoError(t, m.SaveNode(t.Context(), r.Self()))
		all, err := r.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"sweep"}, all[0].Duties)

		pass(30 * time.Second)
		l.fail(errors.New("the database is away"))
		_, _, err = lease.Acquire(t.Context(), "sweep", time.Minute)
		require.Error(t, err)
		require.True(t, r.Duties()["sweep"], "it still holds what it had")
		pass(30 * time.Second)
		require.False(t, r.Duties()["sweep"], "it ran out")
	})
}

// TestDutiesAreShown: what stands in no database is written there at each beat.
func TestDutiesAreShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		shown := make(chan []string, 1)
		r := NewRegistry(RegistryConfig{
			Store: newMemory(), Self: Node{ID: "a"}, Lease: newLeases().of("a"),
			Show: func(_ context.Context, names []string) error {
				shown <- names
				return nil
			},
		})
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		pass(time.Second) // the first beat has nothing to show
		for _, name := range []string{"sweep", "relay"} {
			_, _, err := r.Leaser().Acquire(ctx, name, time.Minute)
			require.NoError(t, err)
		}
		require.Empty(t, shown)
		pass(heartbeat)
		require.Equal(t, []string{"relay", "sweep"}, <-shown)
		stop()
		require.NoError(t, <-done)
	})
}

func TestSelf(t *testing.T) {
	t.Parallel()
	a, err := Self("127.0.0.1:8080", "v1.2.3", time.Now())
	require.NoError(t, err)
	b, err := Self("127.0.0.1:8080", "v1.2.3", time.Now())
	require.NoError(t, err)
	require.NotEqual(t, a.ID, b.ID)
	require.NotEmpty(t, a.Host)
	require.Equal(t, "v1.2.3", a.Version)
}
