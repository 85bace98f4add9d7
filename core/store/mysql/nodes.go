package mysql

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/store/row"
)

const saveNodeQuery = `INSERT INTO nodes (id, host, addr, version, started_at, seen_at) VALUES (?, ?, ?, ?, ?, ?)
	ON DUPLICATE KEY UPDATE host = VALUES(host), addr = VALUES(addr), version = VALUES(version),
		started_at = VALUES(started_at), seen_at = VALUES(seen_at)`

// SaveNode implements node.Store.
func (s *Store) SaveNode(ctx context.Context, n node.Node) error {
	return s.write(ctx, 1, func(t *tx) error {
		_, err := t.exec(saveNodeQuery, n.ID, n.Host, n.Addr, n.Version, row.Micros(n.StartedAt), row.Micros(t.now))
		return err
	})
}

// RemoveNode implements node.Store.
func (s *Store) RemoveNode(ctx context.Context, id string) error {
	return s.write(ctx, 1, func(t *tx) error {
		_, err := t.exec(`DELETE FROM nodes WHERE id = ?`, id)
		return err
	})
}

// Nodes implements node.Store.
func (s *Store) Nodes(ctx context.Context) (nodes []node.Node, err error) {
	from, err := s.query(ctx, `SELECT id, host, addr, version, started_at, seen_at FROM nodes ORDER BY started_at DESC, id`)
	if err != nil {
		return nil, err
	}
	var n node.Node
	var started, seen int64
	err = row.Each(from, []any{&n.ID, &n.Host, &n.Addr, &n.Version, &started, &seen}, func() {
		n.StartedAt, n.SeenAt = row.Time(started), row.Time(seen)
		nodes = append(nodes, n)
	})
	return nodes, s.explain(err)
}

// PruneNodes implements node.Store.
func (s *Store) PruneNodes(ctx context.Context, seenBefore time.Time) error {
	return s.write(ctx, 1, func(t *tx) error {
		_, err := t.exec(`DELETE FROM nodes WHERE seen_at < ?`, row.Micros(seenBefore))
		return err
	})
}

// Leases implements node.Store.
func (s *Store) Leases(ctx context.Context) (leases []node.Lease, err error) {
	from, err := s.query(ctx, "SELECT name, holder, epoch, `until` FROM leases WHERE holder <> '' AND `until` > "+s.nowText()+` ORDER BY name`)
	if err != nil {
		return nil, err
	}
	var l node.Lease
	var until int64
	err = row.Each(from, []any{&l.Name, &l.Holder, &l.Epoch, &until}, func() {
		l.Until = row.Time(until)
		leases = append(leases, l)
	})
	return leases, s.explain(err)
}
