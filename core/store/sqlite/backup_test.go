package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// childBackup backs up again and again until it is killed.
func childBackup(path string) error {
	for i := 0; ; i++ {
		to := fmt.Sprintf("%s.copy-%d-%d", path, os.Getpid(), i)
		fmt.Println("begin")
		if _, err := Backup(context.Background(), path, to); err != nil {
			return err
		}
		fmt.Println(to)
	}
}

func jobsIn(t *testing.T, path string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := withStore(path, func(s *Store) error {
		for before := int64(0); ; {
			jobs, err := s.Jobs(t.Context(), job.Filter{Space: "default", Before: before, Limit: 1000})
			if err != nil || len(jobs) == 0 {
				return err
			}
			for _, j := range jobs {
				all[j.ID] = true
				before = j.Num
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestBackupUnderLoad backs up while jobs are made, and kills programs that
// do so: every backup that is there is whole, and has every job that was
// acknowledged before it began.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "skadi.db")
	s := openTest(t, Config{Path: path})
	addAgent(t, s, "web-1")
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	var mu sync.Mutex
	var made []string
	for range 4 {
		writing.Go(func() {
			// As fast as possible would make more than can be copied.
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for ; ctx.Err() == nil; <-pace.C {
				j, err := createOne(context.WithoutCancel(ctx), s, testEntry("web-1"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				made = append(made, j.ID)
				mu.Unlock()
			}
		})
	}
	acknowledged := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return made[:len(made):len(made)]
	}
	type taken struct {
		file string
		jobs []string
	}
	var backups []taken
	for i := range 3 {
		to := filepath.Join(dir, fmt.Sprint("mine-", i))
		before := acknowledged()
		size, err := Backup(t.Context(), path, to)
		info, statErr := os.Stat(to)
		if err != nil || statErr != nil || info.Size() != size {
			t.Fatalf("%v %v %d", err, statErr, size)
		}
		backups = append(backups, taken{to, before})
	}
	for i := range 4 {
		c := startChild(t, "backup", path)
		for range 1 + 2*(i%2) {
			if _, ok := c.line(); !ok {
				t.Fatalf("the child ended: %s", c.errors.String())
			}
		}
		c.kill()
	}
	stop()
	writing.Wait()
	whole, err := filepath.Glob(path + ".copy-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range whole {
		if !strings.Contains(file, partial) {
			backups = append(backups, taken{file: file})
		}
	}
	for _, b := range backups {
		checkIntegrity(t, b.file)
		has := jobsIn(t, b.file)
		for _, id := range b.jobs {
			if !has[id] {
				t.Fatalf("%s lacks a job that was acknowledged before it began", b.file)
			}
		}
	}
	t.Logf("%d jobs, %d backups, of which others took %d", len(made), len(backups), len(backups)-3)
	checkIntegrity(t, path)
}

func TestBackupRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "skadi.db")
	openTest(t, Config{Path: path})
	taken := filepath.Join(dir, "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "new"+partial+"1")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		ctx        context.Context //nolint:containedctx // a table
		from, to   string
		wantInText string
	}{
		{t.Context(), path, taken, "not overwritten"},
		{t.Context(), path, path, "not overwritten"},
		{t.Context(), filepath.Join(dir, "none"), filepath.Join(dir, "new"), "no database"},
		{t.Context(), taken, filepath.Join(dir, "new"), "not a SQLite database"},
		{t.Context(), path, filepath.Join(dir, "nowhere", "new"), "cannot be written"},
		{ended, path, filepath.Join(dir, "new"), "canceled"},
	} {
		if _, err := Backup(tc.ctx, tc.from, tc.to); err == nil || !strings.Contains(err.Error(), tc.wantInText) {
			t.Errorf("from %s to %s: %v", tc.from, tc.to, err)
		}
	}
	if data, err := os.ReadFile(taken); err != nil || string(data) != "mine" {
		t.Errorf("the file that was there: %q %v", data, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "new*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "skadi.db"), filepath.Join(dir, "backup")
	var first, second string
	if err := withStore(path, func(s *Store) error {
		addAgent(t, s, "web-1")
		j, err := createOne(t.Context(), s, testEntry("web-1"))
		if err != nil {
			return err
		}
		first = j.ID
		if _, err = Backup(t.Context(), path, backup); err != nil {
			return err
		}
		j, err = createOne(t.Context(), s, testEntry("web-1"))
		second = j.ID
		return err
	}); err != nil {
		t.Fatal(err)
	}

	// Not while a server works on it, nor what is no whole backup of Skadi's.
	c := startChild(t, "alone", path)
	if line, ok := c.line(); !ok || line != "true" {
		t.Fatalf("the server says %q: %s", line, c.errors.String())
	}
	refuse := func(backup, want string) {
		t.Helper()
		if _, err := Restore(t.Context(), backup, path, time.Now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("restore %s: %v", backup, err)
		}
	}
	refuse(backup, "a server works on")
	c.kill()
	data, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, data []byte) string {
		to := filepath.Join(dir, name)
		if err := os.WriteFile(to, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return to
	}
	half := append([]byte{}, data[:len(data)/2]...)
	refuse(file("half", half), "damaged")
	torn := append([]byte{}, data...)
	copy(torn[len(torn)/2:], strings.Repeat("\x5a", 8192))
	refuse(file("torn", torn), "damaged")
	refuse(file("text", []byte("this is no database at all")), "not a SQLite database")
	other := filepath.Join(dir, "other")
	execIn(t, other, `CREATE TABLE t (a)`)
	refuse(other, "no database of Skadi's")
	newer := file("newer", data)
	execIn(t, newer, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	refuse(newer, "newer Skadi")
	if got := jobsIn(t, path); !got[first] || !got[second] {
		t.Errorf("a restore that was refused changed something: %v", got)
	}

	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r, err := Restore(t.Context(), backup, path, at)
	if err != nil {
		t.Fatal(err)
	}
	if r.Kept != path+".before-restore-20260301T120000.000Z" || r.Schema.Version != r.Schema.Newest {
		t.Errorf("%+v", r)
	}
	if got := jobsIn(t, path); !got[first] || got[second] {
		t.Errorf("restored: %v", got)
	}
	if got := jobsIn(t, r.Kept); !got[first] || !got[second] {
		t.Errorf("kept: %v", got)
	}
	if now, err := os.ReadFile(backup); err != nil || string(now) != string(data) {
		t.Errorf("the backup was changed: %v", err)
	}
	left, err := filepath.Glob(path + partial + "*")
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	// In the place of nothing, and of a file that is damaged.
	fresh := filepath.Join(dir, "fresh.db")
	if r, err := Restore(t.Context(), backup, fresh, at); err != nil || r.Kept != "" || !r.Tokens.Unread || !jobsIn(t, fresh)[first] {
		t.Errorf("%+v %v", r, err)
	}
	broken := file("broken.db", torn)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if r, err := Restore(stopped, backup, broken, at); err == nil || r.Kept != "" {
		t.Errorf("a restore that was stopped: %+v %v", r, err)
	}
	if r, err := Restore(t.Context(), backup, broken, at); err != nil || !jobsIn(t, broken)[first] {
		t.Errorf("%+v %v", r, err)
	}
	none := file("none.db", []byte("this is no database at all"))
	if r, err := Restore(t.Context(), backup, none, at); err != nil || !jobsIn(t, none)[first] || !r.Tokens.Unread {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := os.Stat(broken + ".before-restore-20260301T120000.000Z"); errors.Is(err, fs.ErrNotExist) {
		t.Error("the damaged file is gone")
	}
}

func execIn(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", plainDSN(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// kill kills the process, as nothing else would end it.
func (c *child) kill() {
	c.t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	for _, ok := c.line(); ok; _, ok = c.line() {
		continue
	}
	_ = c.cmd.Wait() // killed
}
