package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/node"
)

// TestShownLeases: those of the process that has the file stand in no row.
func TestShownLeases(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := openTest(t, Config{Path: filepath.Join(t.TempDir(), "skadi.db"), Clock: func() time.Time { return now }})
	show := func(holder string, epoch int64, names ...string) {
		t.Helper()
		if err := s.ShowLeases(t.Context(), holder, names, node.AliveFor); err != nil {
			t.Fatal(err)
		}
		leases, err := s.Leases(t.Context())
		if err != nil || len(leases) != len(names) {
			t.Fatalf("%+v, %v", leases, err)
		}
		for i, l := range leases {
			if want := (node.Lease{Name: names[i], Holder: holder, Epoch: epoch, Until: now.Add(node.AliveFor)}); l != want {
				t.Errorf("%+v, want %+v", l, want)
			}
		}
	}
	show("a", 1, "relay", "sweep")
	now = now.Add(time.Second)
	show("a", 1, "relay", "sweep")
	show("b", 2, "relay", "sweep") // which has the file now, since a was killed
	now = now.Add(node.AliveFor)
	if leases, err := s.Leases(t.Context()); err != nil || len(leases) > 0 {
		t.Errorf("%+v, %v", leases, err)
	}
}
