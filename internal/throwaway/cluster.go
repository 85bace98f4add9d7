package throwaway

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// slots is how many a Redis Cluster has.
const slots = 16384

// ClusterSet is a Redis Cluster.
type ClusterSet struct {
	// Masters are its three masters; each has a third of the slots.
	Masters []*RedisServer
	// Replicas are one of each master, in their order, or none.
	Replicas []*RedisServer
}

// Addrs returns where the masters listen.
func (c *ClusterSet) Addrs() []string { return addrs(c.Masters) }

// Cluster starts a Cluster of three nodes. Without one of them it serves
// nothing, until that one is back.
func Cluster(t testing.TB) *ClusterSet {
	t.Helper()
	return newCluster(t, false)
}

// ReplicatedCluster is Cluster with a replica of each node, which takes over
// about a second after its master is gone.
func ReplicatedCluster(t testing.TB) *ClusterSet {
	t.Helper()
	return newCluster(t, true)
}

// Owner returns the master that has a key at the start.
func (c *ClusterSet) Owner(t testing.TB, key string) *RedisServer {
	t.Helper()
	slot, ok := c.Masters[0].Do(t, "cluster", "keyslot", key).(int64)
	if !ok {
		t.Fatalf("no slot of %q", key)
	}
	return c.Masters[int(slot)*len(c.Masters)/slots]
}

// AwaitOK waits until every running node says that the cluster serves all.
func (c *ClusterSet) AwaitOK(t testing.TB) {
	t.Helper()
	nodes := append(append([]*RedisServer{}, c.Masters...), c.Replicas...)
	for _, r := range nodes {
		if r.cmd == nil {
			continue
		}
		wait(t, "the cluster", func(ctx context.Context) error {
			info, err := r.do(ctx, "cluster", "info")
			text := fmt.Sprint(info)
			known := fmt.Sprintf("cluster_known_nodes:%d\r", len(nodes))
			if err == nil && (!strings.Contains(text, "cluster_state:ok") || !strings.Contains(text, known)) {
				err = fmt.Errorf("%s says %s", r.Addr, text)
			}
			return err
		})
	}
}

func newCluster(t testing.TB, replicated bool) *ClusterSet {
	t.Helper()
	node := func() *RedisServer {
		return Redis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
	}
	c := &ClusterSet{Masters: []*RedisServer{node(), node(), node()}}
	for i, r := range c.Masters {
		// Different from the start, or the nodes take time to agree.
		r.Do(t, "cluster", "set-config-epoch", i+1)
		r.Do(t, append([]any{"cluster", "addslots"}, share(i, len(c.Masters))...)...)
	}
	if replicated {
		c.Replicas = []*RedisServer{node(), node(), node()}
	}
	for _, r := range append(append([]*RedisServer{}, c.Masters[1:]...), c.Replicas...) {
		r.Do(t, "cluster", "meet", "127.0.0.1", c.Masters[0].port())
	}
	c.AwaitOK(t)
	for i, r := range c.Replicas {
		id := c.Masters[i].Do(t, "cluster", "myid")
		wait(t, "a replica to know its master", func(ctx context.Context) error {
			_, err := r.do(ctx, "cluster", "replicate", id)
			return err
		})
	}
	// Who does not know yet that a node is a replica does not vote for it.
	for _, r := range append(append([]*RedisServer{}, c.Masters...), c.Replicas...) {
		wait(t, "the cluster to know the replicas", func(ctx context.Context) error {
			nodes, err := r.do(ctx, "cluster", "nodes")
			if n := strings.Count(fmt.Sprint(nodes), "slave "); err == nil && n != len(c.Replicas) {
				err = fmt.Errorf("%s knows %d", r.Addr, n)
			}
			return err
		})
	}
	for _, r := range c.Replicas {
		wait(t, "a replica", func(ctx context.Context) error {
			info, err := r.do(ctx, "info", "replication")
			if err == nil && !strings.Contains(fmt.Sprint(info), "master_link_status:up") {
				err = fmt.Errorf("its link is down: %v", info)
			}
			return err
		})
	}
	return c
}

// share returns the slots of the i-th of n masters.
func share(i, n int) []any {
	var own []any
	for slot := range slots {
		if slot*n/slots == i {
			own = append(own, slot)
		}
	}
	return own
}
