package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/job"
)

// TestFullDisk fills the disk under a store: writes are refused with
// job.ErrFull, what was acknowledged stays, and writing goes on once there is
// space again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	t.Run("pages", func(t *testing.T) {
		t.Parallel()
		s := openTest(t, Config{})
		limit := func(pages string) {
			q := &query{id: pingQuery.id, text: `PRAGMA max_page_count = ` + pages}
			err := s.write.Do(context.Background(), &work{Rows: 1, Do: func(t *tx) error {
				st, err := t.w.conn.driver.Prepare(q.text)
				if err != nil {
					return err
				}
				rows, err := st.(stmt).QueryContext(context.Background(), nil)
				if err != nil {
					return err
				}
				return errors.Join(rows.Close(), st.Close())
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		limit("300")
		testFull(t, s, func() { limit("1000000") })
	})
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		folder, ok := smallDisk(t)
		if !ok {
			// Without the right to mount one, the pages above must do.
			return
		}
		ballast := filepath.Join(folder, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		s := openTest(t, Config{Path: filepath.Join(folder, "skadi.db")})
		testFull(t, s, func() {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func testFull(t *testing.T, s *Store, free func()) {
	t.Helper()
	ctx := t.Context()
	addAgent(t, s, "web-1")
	large := func() job.Entry {
		e := testEntry("web-1")
		e.Draft.Message = strings.Repeat("x", 20_000)
		return e
	}
	var made []job.Job
	var err error
	for err == nil {
		var j job.Job
		if j, err = createOne(ctx, s, large()); err == nil {
			made = append(made, j)
		}
		if len(made) > 2000 {
			t.Fatal("the disk never fills")
		}
	}
	if !errors.Is(err, job.ErrFull) {
		t.Fatalf("on a full disk: %v", err)
	}
	for range 3 {
		if _, err := createOne(ctx, s, large()); !errors.Is(err, job.ErrFull) {
			t.Fatalf("again on a full disk: %v", err)
		}
	}
	check := func() {
		for _, j := range made {
			if got, err := s.Job(ctx, "default", j.ID); err != nil || got.Message != j.Message {
				t.Fatalf("job %s: %v", j.ID, err)
			}
		}
	}
	check()
	if len(made) == 0 {
		t.Fatal("the disk was full from the beginning")
	}
	free()
	for range 50 {
		j, err := createOne(ctx, s, large())
		if err != nil {
			t.Fatalf("with space again: %v", err)
		}
		made = append(made, j)
	}
	check()
	checkIntegrity(t, s.path)
}
