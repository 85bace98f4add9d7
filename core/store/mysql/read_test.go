package mysql

import "testing"

// TestReadsFollowWriters has a read use a new connection once a writer had to
// connect anew, since that one may lead to another server.
func TestReadsFollowWriters(t *testing.T) {
	t.Parallel()
	s, c := openCut(t)
	connection := func() (id int64) {
		t.Helper()
		if _, err := s.row(t.Context(), `SELECT CONNECTION_ID()`, nil, &id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	before := connection()
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := connection(); now != before {
		t.Fatalf("reads went from connection %d to %d without a reason", before, now)
	}
	cuts := 0
	c.set(func(string) cut {
		if cuts++; cuts > 1 {
			return cutNothing
		}
		return cutBefore
	})
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := connection(); now == before {
		t.Fatal("a read uses a connection from before the writer's was lost")
	}
}
