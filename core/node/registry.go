package node

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// Status is a node as the others see it.
type Status struct {
	Node
	Alive bool
	// Duties are the names of the leases that it holds, in order.
	Duties []string
}

// RegistryConfig is what a Registry works with. Store and Self are required.
type RegistryConfig struct {
	Store Store
	// Self is this node; see the function Self.
	Self Node
	// Lease is the store's leases with this node's ID as their holder, for
	// Leaser to hand out; nil if nobody asks for it.
	Lease chat.Leaser
	// Show writes to the store, for AliveFor, which leases this node holds; nil
	// if they stand there anyway.
	Show   func(ctx context.Context, names []string) error
	Logger *slog.Logger
}

// Registry makes a node known to the others while it runs. Its methods may be
// called concurrently.
type Registry struct {
	store  Store
	self   Node
	leases *leaser
	show   func(ctx context.Context, names []string) error
	log    *slog.Logger

	mu      sync.Mutex
	known   []Status  // as of the last word; without Duties
	knownAt time.Time // when that was, by this node's clock
	failed  bool
}

// NewRegistry returns a registry. The node is known to others once it runs.
func NewRegistry(c RegistryConfig) *Registry {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	leases := &leaser{Leaser: c.Lease, now: time.Now, until: map[string]time.Time{}}
	return &Registry{store: c.Store, self: c.Self, leases: leases, show: c.Show, log: c.Logger}
}

// Self is this node.
func (r *Registry) Self() Node { return r.self }

// Run says every five seconds that the node is there, until ctx ends. Then it
// takes the node back, so that the others need not wait for its silence, and
// returns nil. A database that is away is waited for.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	var pruned time.Time
	for {
		r.note(ctx, r.beat(ctx, &pruned))
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.leave(ctx)
			return nil
		}
	}
}

// beat says that the node is there, and looks who else is.
func (r *Registry) beat(ctx context.Context, pruned *time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	if err := r.store.SaveNode(ctx, r.self); err != nil {
		return err
	}
	if names := r.leases.held(); r.show != nil && len(names) > 0 {
		if err := r.show(ctx, names); err != nil {
			return err
		}
	}
	known, now, err := r.list(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.known, r.knownAt = known, time.Now()
	r.mu.Unlock()
	if now.Sub(*pruned).Abs() < keepFor/24 {
		return nil
	}
	*pruned = now
	return r.store.PruneNodes(ctx, now.Add(-keepFor))
}

// note logs that the database went away, and that it came back, once each.
func (r *Registry) note(ctx context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil && ctx.Err() == nil && !r.failed:
		r.failed = true
		r.log.Warn("could not tell the other nodes that this one is there; it goes on trying", "node", r.self.ID, "err", err)
	case err == nil && r.failed:
		r.failed = false
		r.log.Info("the other nodes know again that this one is there", "node", r.self.ID)
	}
}

// leave takes the node back. It is only a courtesy: silence says the same.
func (r *Registry) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := r.store.RemoveNode(ctx, r.self.ID); err != nil {
		r.log.Debug("could not tell the other nodes that this one stops", "node", r.self.ID, "err", err)
	}
}

func (r *Registry) list(ctx context.Context) ([]Status, time.Time, error) {
	nodes, err := r.store.Nodes(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	now, err := r.store.Now(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	all := make([]Status, len(nodes))
	for i, n := range nodes {
		// One seen in the far future was seen before the clock was set back.
		all[i] = Status{Node: n, Alive: now.Sub(n.SeenAt).Abs() < AliveFor}
	}
	return all, now, nil
}

// List returns all nodes, alive or gone lately, the one started last first,
// each with the duties that it holds.
func (r *Registry) List(ctx context.Context) ([]Status, error) {
	all, _, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	leases, err := r.store.Leases(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].ID == r.self.ID {
			all[i].Duties = r.leases.held() // it knows, wherever its leases are
			continue
		}
		for _, l := range leases {
			if l.Holder == all[i].ID {
				all[i].Duties = append(all[i].Duties, l.Name)
			}
		}
	}
	return all, nil
}

// Known returns what the last word of this node found out, without asking the
// database. While that is away, all nodes come to look gone, this one too. It
// has no Duties.
func (r *Registry) Known() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.known)
	for i := range all {
		all[i].Alive = all[i].Alive && time.Since(r.knownAt) < AliveFor
	}
	return all
}

// Rank says how many nodes that are alive come before this one for the i-th
// of several duties. Each node comes first for its fair share of them, one more
// or less; 0 is also the answer while nothing is known of others.
func (r *Registry) Rank(i int) int {
	var ids []string
	r.mu.Lock()
	for _, n := range r.known {
		if n.Alive {
			ids = append(ids, n.ID)
		}
	}
	r.mu.Unlock()
	slices.Sort(ids)
	at := slices.Index(ids, r.self.ID)
	if at < 0 {
		return 0
	}
	n := len(ids)
	return ((at-i)%n + n) % n
}

// Leaser is the store's leases for this node. Those taken through it are shown
// as the node's duties.
func (r *Registry) Leaser() chat.Leaser { return r.leases }

// Duties returns the leases that were asked for through Leaser, and whether
// this node holds them.
func (r *Registry) Duties() map[string]bool { return r.leases.duties() }
