package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

func TestOpenAgain(t *testing.T) {
	t.Parallel()
	// A name that a URI would take apart.
	path := filepath.Join(t.TempDir(), "my skädi?mode=memory&x=%41#1.db")
	var made job.Job
	for round := range 3 {
		err := withStore(path, func(s *Store) (err error) {
			if round == 0 {
				addAgent(t, s, "web-1")
				made, err = createOne(t.Context(), s, testEntry("web-1"))
				return err
			}
			_, err = s.Job(t.Context(), "default", made.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %s", info.Mode())
	}
}

// TestOpenTogether opens a database that is not there yet from several
// processes, of which only one may make it.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "skadi.db")
	children := make([]*child, 4)
	for i := range children {
		children[i] = startChild(t, "open", path)
	}
	for _, c := range children {
		c.end()
	}
	openTest(t, Config{Path: path})
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sound := filepath.Join(folder, "sound.db")
	if err := withStore(sound, func(*Store) error { return nil }); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(sound)
	if err != nil {
		t.Fatal(err)
	}
	// The schema's page, overwritten after the file's header.
	damaged := bytes.Clone(content)
	for i := 100; i < 4096; i++ {
		damaged[i] = 0xff
	}
	newer := write("newer.db", content)
	db, err := sql.Open("sqlite", newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (4711, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		path string
		says []string
	}{
		"no path":         {"", []string{"no path is given"}},
		"no folder":       {filepath.Join(folder, "none", "skadi.db"), []string{filepath.Join(folder, "none"), "make it first"}},
		"not in a folder": {filepath.Join(sound, "skadi.db"), []string{sound, "not a folder"}},
		"a folder":        {folder, []string{folder, "is a folder", "skadi.db"}},
		"not a database":  {write("notes.txt", []byte("dear diary, this is no database at all")), []string{"notes.txt", "not a SQLite database", "backup"}},
		"a short file":    {write("short.db", []byte("SQLite")), []string{"short.db", "not a SQLite database"}},
		"damaged":         {write("damaged.db", damaged), []string{"damaged.db", "damaged", "backup"}},
		"newer":           {newer, []string{"newer.db", "4711", "up to 3", "newer"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.Context(), Config{Path: c.path})
			if err == nil {
				t.Fatal(errors.Join(errors.New("it was opened"), s.Close()))
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("the error does not say %q: %v", says, err)
				}
			}
		})
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "skadi.db")
	if err := withStore(path, func(s *Store) error { addAgent(t, s, "web-1"); return nil }); err != nil {
		t.Fatal(err)
	}
	// A process that keeps everybody out: the store cannot be opened.
	c := startChild(t, "lock", path)
	if line, _ := c.line(); line != "locked" {
		t.Fatalf("the child says %q: %s", line, c.errors.String())
	}
	s, err := Open(t.Context(), Config{Path: path, BusyTimeout: 50 * time.Millisecond})
	if err == nil {
		t.Fatal(errors.Join(errors.New("a locked database was opened"), s.Close()))
	}
	if !errors.Is(err, job.ErrUnavailable) || !strings.Contains(err.Error(), "locked by another process") {
		t.Fatalf("the error is %v", err)
	}
	c.end()

	// A process that writes for long: the store waits, then says so, and goes
	// on when it can.
	s = openTest(t, Config{Path: path, BusyTimeout: 50 * time.Millisecond})
	c = startChild(t, "write", path)
	if line, _ := c.line(); line != "locked" {
		t.Fatalf("the child says %q: %s", line, c.errors.String())
	}
	if _, err := createOne(t.Context(), s, testEntry("web-1")); !errors.Is(err, job.ErrUnavailable) {
		t.Fatalf("a write during another's: %v", err)
	}
	if _, err := s.Agent(t.Context(), "default", "web-1"); err != nil {
		t.Fatalf("a read during another's write: %v", err)
	}
	c.end()
	if _, err := createOne(t.Context(), s, testEntry("web-1")); err != nil {
		t.Fatal(err)
	}
}

// TestAnotherProcess has another process change what the writer remembers.
func TestAnotherProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "skadi.db")
	s := openTest(t, Config{Path: path})
	addAgent(t, s, "web-1")
	j, err := createOne(t.Context(), s, testEntry("web-1"))
	if err != nil {
		t.Fatal(err)
	}
	startChild(t, "remove", path).end()
	us, err := s.Update(t.Context(), job.ByID("default", j.ID), func(v job.View) (*job.Change, error) {
		if v.Job.Status != job.Canceled {
			return nil, errors.New("decide sees the job as it was")
		}
		return nil, nil
	})
	if err != nil || us[0].Err != nil {
		t.Fatal(err, us)
	}
	if _, err := createOne(t.Context(), s, testEntry("web-1")); !errors.Is(err, job.ErrUnknownAgent) {
		t.Fatalf("a job for an agent that another process removed: %v", err)
	}
	// Both write at once, and their numbers do not meet.
	a := job.Agent{ID: "another", Space: "default", Name: "web-1", CreatedAt: s.now()}
	if err := s.CreateAgent(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	c := startChild(t, "create", path)
	for range 200 {
		if _, err := createOne(t.Context(), s, testEntry("web-1")); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.line(); !ok {
			t.Fatalf("the child ended: %s", c.errors.String())
		}
	}
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // killed
	var version int64
	for all := map[string]int64{}; ; {
		events, err := s.Unpublished(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			if version = all[e.Subject]; e.Version != version+1 {
				t.Fatalf("event %s came after version %d", e.ID(), version)
			}
			all[e.Subject] = e.Version
		}
		if err := s.MarkPublished(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	checkIntegrity(t, path)
}
