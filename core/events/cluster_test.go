package events_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/queue"
)

type leaseRow struct {
	holder string
	epoch  int64
	until  time.Time
}

// passes is called with w.mu held.
func (w *world) passes(g events.Guard) bool {
	if g == (events.Guard{}) {
		return true
	}
	l := w.leases[g.Lease]
	return l != nil && l.epoch == g.Epoch && time.Now().Before(l.until)
}

// holder returns who has the lease.
func (w *world) holder(lease string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.leases[lease]; l != nil && time.Now().Before(l.until) {
		return l.holder
	}
	return ""
}

// view is the world as one node sees it, until that is killed.
type view struct {
	*world
	id   string
	dead atomic.Bool
	// away makes the database fail for this node.
	away atomic.Bool
	// before is called at the start of Job, if set.
	before atomic.Pointer[func()]
}

var errAway = errors.New("the database is away")

func (v *view) there() error {
	if v.dead.Load() || v.away.Load() {
		return errAway
	}
	return nil
}

func (v *view) Unpublished(ctx context.Context, limit int) ([]job.Event, error) {
	if err := v.there(); err != nil {
		return nil, err
	}
	return v.world.Unpublished(ctx, limit)
}

func (v *view) MarkPublished(ctx context.Context, list []job.Event) error {
	if err := v.there(); err != nil {
		return err
	}
	return v.world.MarkPublished(ctx, list)
}

func (v *view) OpenConversations(ctx context.Context, partitions []int, limit int) ([]events.Conversation, error) {
	if err := v.there(); err != nil {
		return nil, err
	}
	return v.world.OpenConversations(ctx, partitions, limit)
}

func (v *view) Open(ctx context.Context, c events.Conversation, limit int) ([]job.Event, error) {
	if err := v.there(); err != nil {
		return nil, err
	}
	return v.world.Open(ctx, c, limit)
}

func (v *view) Job(ctx context.Context, space, id string) (job.Job, error) {
	if f := v.before.Load(); f != nil {
		(*f)()
	}
	if err := v.there(); err != nil {
		return job.Job{}, err
	}
	return v.world.Job(context.WithoutCancel(ctx), space, id)
}

func (v *view) Record(ctx context.Context, d events.Delivery) error {
	if err := v.there(); err != nil {
		return err
	}
	return v.world.Record(ctx, d)
}

func (v *view) Park(ctx context.Context, c events.Conversation, until time.Time, tries int, reason string, g events.Guard) error {
	if err := v.there(); err != nil {
		return err
	}
	return v.world.Park(ctx, c, until, tries, reason, g)
}

func (v *view) Acquire(ctx context.Context, name string, ttl time.Duration) (int64, bool, error) {
	if err := errors.Join(v.there(), ctx.Err()); err != nil {
		return 0, false, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.leases[name]
	if l == nil {
		l = &leaseRow{}
		v.leases[name] = l
	}
	if l.holder != v.id {
		if l.holder != "" && time.Now().Before(l.until) {
			return l.epoch, false, nil
		}
		l.holder = v.id
		l.epoch++
	}
	l.until = time.Now().Add(ttl)
	return l.epoch, true, nil
}

func (v *view) Release(_ context.Context, name string) error {
	if err := v.there(); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if l := v.leases[name]; l != nil && l.holder == v.id {
		l.holder, l.until = "", time.Time{}
	}
	return nil
}

// Now, SaveNode, RemoveNode, Nodes, PruneNodes and Leases make it a node.Store.
func (v *view) Now(context.Context) (time.Time, error) { return time.Now(), v.there() }

func (v *view) SaveNode(_ context.Context, n node.Node) error {
	if err := v.there(); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n.SeenAt = time.Now()
	v.nodes[n.ID] = n
	return nil
}

func (v *view) RemoveNode(_ context.Context, id string) error {
	if err := v.there(); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.nodes, id)
	return nil
}

func (v *view) Nodes(context.Context) ([]node.Node, error) {
	if err := v.there(); err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Collect(maps.Values(v.nodes)), nil
}

func (v *view) PruneNodes(context.Context, time.Time) error { return v.there() }

func (v *view) Leases(context.Context) ([]node.Lease, error) { return nil, v.there() }

// cluster is several nodes on one world and one queue.
type cluster struct {
	*world
	t     *testing.T
	queue *queue.Embedded
	// queueDown keeps the queue from taking and bringing anything.
	queueDown atomic.Bool
}

// member is a node of a cluster.
type member struct {
	*view
	*channel
	replier *events.Replier
	stop    func()
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return &cluster{world: newWorld(), t: t, queue: queue.NewEmbedded()}
}

var errQueueDown = errors.New("the queue is away")

func (c *cluster) up(context.Context) error {
	if c.queueDown.Load() {
		return errQueueDown
	}
	return nil
}

// Publish makes the cluster the queue that its relays publish to.
func (c *cluster) Publish(ctx context.Context, messages []queue.Message) error {
	if err := c.up(ctx); err != nil {
		return err
	}
	return c.queue.Publish(ctx, messages)
}

// join starts a node with the account work on the given channel; edit, if any,
// changes how it is set up.
func (c *cluster) join(id string, ch *channel, edit func(*events.ReplierConfig, *events.Accounts)) *member {
	c.t.Helper()
	m := &member{view: &view{world: c.world, id: id}, channel: ch}
	accounts := events.NewAccounts(nil, nil)
	if err := accounts.Add(events.Account{Name: "work", Kind: "test", Adapter: ch}); err != nil {
		c.t.Fatal(err)
	}
	registry := node.NewRegistry(node.RegistryConfig{Store: m.view, Self: node.Node{ID: id}})
	relay := events.NewRelay(events.RelayConfig{Outbox: m.view, Queue: c, Waker: c.world, Lease: m.view})
	cfg := events.ReplierConfig{
		Store: m.view, Jobs: m.view, Senders: accounts, Queue: c.queue, QueueUp: c.up,
		Lease: m.view, Shared: true, Rank: registry.Rank, Node: id,
	}
	if edit != nil {
		edit(&cfg, accounts)
	}
	m.replier = events.NewReplier(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{registry.Run, accounts.Run, relay.Run, m.replier.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				c.t.Errorf("Run: %v", err)
			}
		})
	}
	m.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	return m
}

// kill ends a node without letting it clean up.
func (m *member) kill() {
	m.dead.Store(true)
	m.stop()
}

func (c *cluster) close(members ...*member) {
	c.t.Helper()
	for _, m := range members {
		m.stop()
	}
	if err := c.queue.Close(); err != nil {
		c.t.Error(err)
	}
}

// shares returns how many partitions each node serves, and fails if one is
// served by two.
func (c *cluster) shares(members ...*member) (shares []int) {
	c.t.Helper()
	by := map[int]string{}
	for _, m := range members {
		mine := m.replier.Serving()
		shares = append(shares, len(mine))
		for _, p := range mine {
			if other, ok := by[p]; ok {
				c.t.Errorf("partition %d is served by %s and %s", p, other, m.id)
			}
			by[p] = m.id
		}
	}
	return shares
}

// finals counts how often each job's result was shown, in all channels.
func finals(channels ...*channel) map[string]int {
	count := map[string]int{}
	for _, ch := range channels {
		for _, m := range ch.messages() {
			if m.Card != nil && m.Card.Final {
				count[m.Card.Message]++
			}
		}
	}
	return count
}

// keyIn returns a conversation's key in the partition.
func keyIn(partition, n int) string {
	for i := 0; ; i++ {
		key := fmt.Sprint("C", i)
		if events.PartitionOf("work", key, events.DefaultPartitions) == partition {
			if n--; n < 0 {
				return key
			}
		}
	}
}

// owner returns the member that serves the key's partition.
func (c *cluster) owner(key string, members ...*member) (owner, other *member) {
	c.t.Helper()
	p := events.PartitionOf("work", key, events.DefaultPartitions)
	for _, m := range members {
		if slices.Contains(m.replier.Serving(), p) {
			owner = m
		} else {
			other = m
		}
	}
	if owner == nil {
		c.t.Fatalf("nobody serves partition %d", p)
	}
	return owner, other
}

// inOrder fails if a job's statuses came out of order in the channel.
func inOrder(t *testing.T, messages []chat.Outbound) {
	t.Helper()
	last := map[string]string{}
	for _, m := range messages {
		if m.Card == nil || strings.Contains(m.ID, ".live.") {
			continue
		}
		id := strings.TrimSuffix(m.ID, ".new")
		jobID, version, _ := strings.Cut(id, ".")
		if version < last[jobID] {
			t.Errorf("%s was shown after version %s", m.ID, last[jobID])
		}
		last[jobID] = version
	}
}
