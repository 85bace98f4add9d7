package storetest

import (
	"time"

	"github.com/letserverrun/skadi/core/node"
)

var nodeTests = map[string]func(*suite){
	"nodes": func(s *suite) {
		nodes := func() []node.Node {
			s.Helper()
			all, err := s.Store.Nodes(s.ctx)
			s.must(err)
			return all
		}
		equal(s, len(nodes()), 0)
		start := s.now()
		a := node.Node{ID: "a", Host: "söd-1", Addr: "10.0.0.1:8080", Version: "v1.2.3", StartedAt: start, SeenAt: start.Add(-time.Hour)}
		b := node.Node{ID: "b", Host: "h2", StartedAt: start.Add(time.Second), SeenAt: start}
		c := node.Node{ID: "c", StartedAt: start, SeenAt: start}
		s.must(s.Store.SaveNode(s.ctx, c))
		s.must(s.Store.SaveNode(s.ctx, a))
		s.Advance(time.Second)
		s.must(s.Store.SaveNode(s.ctx, b))
		// Its word counts by the store's clock, whatever its own says.
		a.SeenAt, b.SeenAt = start, start.Add(time.Second)
		equal(s, nodes(), []node.Node{b, a, c})

		s.Advance(4 * time.Second)
		a.Version = "v1.2.4"
		s.must(s.Store.SaveNode(s.ctx, a))
		a.SeenAt = start.Add(5 * time.Second)
		equal(s, nodes(), []node.Node{b, a, c})

		s.must(s.Store.RemoveNode(s.ctx, "b"))
		s.must(s.Store.RemoveNode(s.ctx, "never"))
		equal(s, nodes(), []node.Node{a, c})
		s.must(s.Store.PruneNodes(s.ctx, start))
		equal(s, nodes(), []node.Node{a, c})
		s.must(s.Store.PruneNodes(s.ctx, start.Add(time.Microsecond)))
		equal(s, nodes(), []node.Node{a})
	},
	"leases that are held": func(s *suite) {
		acquire := func(holder, name string, ttl time.Duration) {
			s.Helper()
			if _, held, err := s.Store.Leaser(holder).Acquire(s.ctx, name, ttl); err != nil || !held {
				s.Fatalf("%s for %s: %v, %v", name, holder, held, err)
			}
		}
		held := func() []node.Lease {
			s.Helper()
			all, err := s.Store.Leases(s.ctx)
			s.must(err)
			return all
		}
		equal(s, len(held()), 0)
		acquire("a", "sweep", time.Minute)
		acquire("b", "relay", time.Second)
		acquire("b", "mailbox", time.Minute)
		s.must(s.Store.Leaser("b").Release(s.ctx, "mailbox"))
		until := s.now()
		relay := node.Lease{Name: "relay", Holder: "b", Epoch: 1, Until: until.Add(time.Second)}
		sweep := node.Lease{Name: "sweep", Holder: "a", Epoch: 1, Until: until.Add(time.Minute)}
		equal(s, held(), []node.Lease{relay, sweep})
		s.Advance(time.Second)
		equal(s, held(), []node.Lease{sweep})
		acquire("a", "relay", time.Minute)
		relay = node.Lease{Name: "relay", Holder: "a", Epoch: 2, Until: s.now().Add(time.Minute)}
		equal(s, held(), []node.Lease{relay, sweep})
	},
}
