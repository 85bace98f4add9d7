package throwaway_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestMySQLGroup gives the group another primary, kills that one, and brings it
// back.
func TestMySQLGroup(t *testing.T) {
	t.Parallel()
	g := throwaway.MySQLGroup(t)
	first := g.Primary(t, nil)
	if first != g.Members[0] {
		t.Fatalf("%s is the primary, want %s", first.Addr, g.Members[0].Addr)
	}
	dsn := g.Database(t, first.Addr)
	query(t, dsn, "CREATE TABLE a (b INT PRIMARY KEY)")
	query(t, dsn, "INSERT INTO a VALUES (1)")
	second := g.Members[1]
	g.SetPrimary(t, second)
	if now := g.Primary(t, first); now != second {
		t.Fatalf("%s is the primary, want %s", now.Addr, second.Addr)
	}
	second.Kill()
	third := g.Primary(t, second)
	query(t, strings.Replace(dsn, first.Addr, third.Addr, 1), "INSERT INTO a VALUES (2)")
	g.Rejoin(t, second)
	dsn = strings.Replace(dsn, first.Addr, second.Addr, 1)
	open(t, dsn, func(c *sql.DB) error {
		var n int
		if err := c.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM a").Scan(&n); err != nil || n != 2 {
			t.Errorf("the one that came back has %d rows, want 2: %v", n, err)
		}
		if _, err := c.ExecContext(t.Context(), "INSERT INTO a VALUES (3)"); err == nil {
			t.Error("the one that came back takes writes")
		}
		return nil
	})
}
