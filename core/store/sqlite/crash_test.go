package sqlite

import (
	"database/sql"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/job"
)

// TestCrash kills a process that writes, many times over, and finds every
// write that it had been told was done.
func TestCrash(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "skadi.db")
	if err := withStore(path, func(s *Store) error { addAgent(t, s, "web-1"); return nil }); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]int64{}
	kills, rounds := 0, 50
	for range rounds {
		c := startChild(t, "create", path)
		note := func(line string) {
			id, version, _ := strings.Cut(line, " ")
			v, err := strconv.ParseInt(version, 10, 64)
			if err != nil {
				t.Fatalf("the child says %q: %s", line, c.errors.String())
			}
			acknowledged[id] = max(acknowledged[id], v)
		}
		for range rand.IntN(400) {
			line, ok := c.line()
			if !ok {
				t.Fatalf("the child ended: %s", c.errors.String())
			}
			note(line)
		}
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		kills++
		// What it had printed when it was killed counts too.
		for line, ok := c.line(); ok; line, ok = c.line() {
			note(line)
		}
		_ = c.cmd.Wait() // killed
	}
	s := openTest(t, Config{Path: path})
	for id, version := range acknowledged {
		j, err := s.Job(t.Context(), "default", id)
		if err != nil {
			t.Errorf("job %s was acknowledged and is lost: %v", id, err)
			continue
		}
		history, err := s.History(t.Context(), "default", id)
		if err != nil || j.Version < version || int64(len(history)) != j.Version {
			t.Errorf("job %s was acknowledged at version %d; it is at %d with %d events, %v", id, version, j.Version, len(history), err)
		}
	}
	checkIntegrity(t, path)
	t.Logf("%d kills, %d jobs acknowledged, none lost", kills, len(acknowledged))
	if len(acknowledged) == 0 {
		t.Error("no child lived long enough to write anything")
	}
	if _, err := createOne(t.Context(), s, testEntry("web-1")); err != nil {
		t.Error(err)
	}
	numbers := map[int64]bool{}
	for before := int64(0); ; {
		jobs, err := s.Jobs(t.Context(), job.Filter{Space: "default", Before: before, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if len(jobs) == 0 {
			break
		}
		for _, j := range jobs {
			if numbers[j.Num] {
				t.Errorf("number %d was given twice", j.Num)
			}
			numbers[j.Num] = true
		}
		before = jobs[len(jobs)-1].Num
	}
}

// checkIntegrity has SQLite check the whole file, and the tables of what is
// left to do against each other.
func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for question, want := range map[string]string{
		`PRAGMA integrity_check`: "ok",
		`SELECT count(*) FROM unpublished u WHERE NOT EXISTS
			(SELECT 1 FROM events e WHERE e.subject = u.subject AND e.version = u.version)`: "0",
		`SELECT count(*) FROM events e WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = e.subject)`: "0",
	} {
		var got string
		if err := db.QueryRowContext(t.Context(), question).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %s, %v", strings.Join(strings.Fields(question), " "), got, err)
		}
	}
}
