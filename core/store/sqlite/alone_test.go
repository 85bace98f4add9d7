package sqlite

import (
	"path/filepath"
	"testing"
	"time"
)

// held reports whether the store gets a lease of the process that works on
// the database.
func held(t *testing.T, s *Store, name string) bool {
	t.Helper()
	epoch, held, err := s.Alone().Acquire(t.Context(), name, time.Second)
	if err != nil || epoch != 0 {
		t.Fatalf("epoch %d, %v", epoch, err)
	}
	return held
}

func TestAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "skadi.db")
	first, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	second := openTest(t, Config{Path: path})
	for _, lease := range []string{"relay", "relay", "replies"} {
		if !held(t, first, lease) {
			t.Errorf("the first that asks does not hold %s", lease)
		}
	}
	if held(t, second, "replies") || held(t, second, "sweep") {
		t.Error("two hold a lease")
	}
	if err := first.Alone().Release(t.Context(), "replies"); err != nil {
		t.Fatal(err)
	}
	if held(t, second, "replies") {
		t.Error("the lock was given away while its holder is there")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got, err := first.Alone().Acquire(t.Context(), "relay", time.Second); got || err == nil {
		t.Error("a closed store got a lease")
	}
	if !held(t, second, "replies") {
		t.Error("nobody holds it after the first has gone")
	}
}

// A process that is killed makes way for another at once.
func TestAloneAfterAKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "skadi.db")
	c := startChild(t, "alone", path)
	if line, _ := c.line(); line != "true" {
		t.Fatalf("the child says %q: %s", line, c.errors.String())
	}
	s := openTest(t, Config{Path: path})
	if held(t, s, "replies") {
		t.Error("two processes hold it")
	}
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // killed
	if !held(t, s, "replies") {
		t.Error("a killed process holds it still")
	}
}

// TestPlacesOldConversations opens a database whose conversations were written
// before there were partitions.
func TestPlacesOldConversations(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "skadi.db")
	err := withStore(path, func(s *Store) error {
		return s.write.Do(t.Context(), &work{Rows: 1, Do: func(tx *tx) error {
			_, err := tx.exec(newOldConversation, "work", "C1")
			return err
		}})
	})
	if err != nil {
		t.Fatal(err)
	}
	s := openTest(t, Config{Path: path})
	for p := range s.Partitions() {
		open, err := s.OpenConversations(t.Context(), []int{p}, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(open) == 1 {
			if open[0].Partition != p || open[0].Key != "C1" {
				t.Errorf("partition %d has %+v", p, open[0])
			}
			return
		}
	}
	t.Error("it is in no partition")
}

var newOldConversation = newQuery(`INSERT INTO conversations (account, key, first) VALUES (?, ?, 1)`)
