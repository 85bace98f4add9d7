package throwaway_test

import (
	"database/sql"
	"testing"

	"github.com/letserverrun/skadi/internal/throwaway"
)

func TestGalera(t *testing.T) {
	t.Parallel()
	g := throwaway.Galera(t)
	g.Nodes[0].Exec(t, "CREATE DATABASE d", "CREATE TABLE d.a (b INT PRIMARY KEY)")
	for i, db := range g.Nodes {
		open(t, db.DSN("d")+"?wsrep_sync_wait=7", func(c *sql.DB) error {
			_, err := c.ExecContext(t.Context(), "INSERT INTO a VALUES (?)", i)
			return err
		})
	}
	g.Nodes[0].Kill()
	g.AwaitSize(t, 2)
	open(t, g.Nodes[1].DSN("d")+"?wsrep_sync_wait=7", func(c *sql.DB) error {
		var n int
		if err := c.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM a").Scan(&n); err != nil || n != 3 {
			t.Errorf("%d rows are left of 3: %v", n, err)
		}
		_, err := c.ExecContext(t.Context(), "INSERT INTO a VALUES (3)")
		return err
	})
}
