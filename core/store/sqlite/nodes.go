package sqlite

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/store/row"
)

var (
	saveNodeQuery = newQuery(`INSERT INTO nodes (id, host, addr, version, started_at, seen_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET host = excluded.host, addr = excluded.addr, version = excluded.version,
			started_at = excluded.started_at, seen_at = excluded.seen_at`)

	removeNodeQuery = newQuery(`DELETE FROM nodes WHERE id = ?`)

	pruneNodesQuery = newQuery(`DELETE FROM nodes WHERE seen_at < ?`)

	nodesQuery = newQuery(`SELECT id, host, addr, version, started_at, seen_at FROM nodes ORDER BY started_at DESC, id`)

	leasesQuery = newQuery(`SELECT name, holder, epoch, until FROM leases WHERE holder <> '' AND until > ? ORDER BY name`)

	showLeaseQuery = newQuery(`INSERT INTO leases (name, holder, epoch, until) VALUES (?, ?, 1, ?)
		ON CONFLICT DO UPDATE SET epoch = epoch + (holder <> excluded.holder), holder = excluded.holder, until = excluded.until`)
)

// SaveNode implements node.Store.
func (s *Store) SaveNode(ctx context.Context, n node.Node) error {
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		_, err := t.exec(saveNodeQuery, n.ID, n.Host, n.Addr, n.Version, row.Micros(n.StartedAt), row.Micros(s.now()))
		return err
	}})
}

// RemoveNode implements node.Store.
func (s *Store) RemoveNode(ctx context.Context, id string) error {
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		_, err := t.exec(removeNodeQuery, id)
		return err
	}})
}

// PruneNodes implements node.Store.
func (s *Store) PruneNodes(ctx context.Context, seenBefore time.Time) error {
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		_, err := t.exec(pruneNodesQuery, row.Micros(seenBefore))
		return err
	}})
}

// Nodes implements node.Store.
func (s *Store) Nodes(ctx context.Context) (nodes []node.Node, err error) {
	rows, err := s.read.query(ctx, nodesQuery) //nolint:rowserrcheck // row.Each does
	if err != nil {
		return nil, err
	}
	var n node.Node
	var started, seen int64
	err = row.Each(rows, []any{&n.ID, &n.Host, &n.Addr, &n.Version, &started, &seen}, func() {
		n.StartedAt, n.SeenAt = row.Time(started), row.Time(seen)
		nodes = append(nodes, n)
	})
	return nodes, s.read.explain(err)
}

// ShowLeases has Leases return the leases, which are the holder's by Alone, for
// that long. It asks nobody, since Alone has decided.
func (s *Store) ShowLeases(ctx context.Context, holder string, names []string, ttl time.Duration) error {
	return s.write.Do(ctx, &work{Rows: len(names), Do: func(t *tx) error {
		until := row.Micros(s.now().Add(ttl))
		for _, name := range names {
			if _, err := t.exec(showLeaseQuery, name, holder, until); err != nil {
				return err
			}
		}
		return nil
	}})
}

// Leases implements node.Store.
func (s *Store) Leases(ctx context.Context) (leases []node.Lease, err error) {
	rows, err := s.read.query(ctx, leasesQuery, row.Micros(s.now())) //nolint:rowserrcheck // row.Each does
	if err != nil {
		return nil, err
	}
	var l node.Lease
	var until int64
	err = row.Each(rows, []any{&l.Name, &l.Holder, &l.Epoch, &until}, func() {
		l.Until = row.Time(until)
		leases = append(leases, l)
	})
	return leases, s.read.explain(err)
}
