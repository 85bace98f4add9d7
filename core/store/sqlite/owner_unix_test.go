//go:build unix

package sqlite

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFilesOfRoot: `sudo skadi agents create` before the first start of a server,
// and `sudo skadi restore`, leave files that the server's user can open.
func TestFilesOfRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root makes files that another user cannot open")
	}
	const uid, gid = 65532, 65531
	dir := t.TempDir()
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	// What is there already stays root's, also behind a link: its owner could
	// have made the link.
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "skadi.db")
	if err := os.Symlink(secret, path+".lock"); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, Config{Path: path})
	addAgent(t, s, "web-1")
	if _, _, err := s.Alone().Acquire(t.Context(), "x", time.Minute); err != nil {
		t.Fatal(err)
	}
	looksOwned(t, dir, uid, gid)
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	if _, err := Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), backup, path, time.Now()); err != nil {
		t.Fatal(err)
	}
	looksOwned(t, dir, uid, gid)
	for _, file := range []string{secret, backup} {
		if of := owner(t, file); of.Uid != 0 {
			t.Errorf("%s is of %d now", file, of.Uid)
		}
	}
}

func looksOwned(t *testing.T, dir string, uid, gid uint32) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if f.Type()&os.ModeSymlink != 0 {
			continue
		}
		if of := owner(t, filepath.Join(dir, f.Name())); of.Uid != uid || of.Gid != gid || of.Mode&0o777 != 0o600 {
			t.Errorf("%s is of %d:%d, %o", f.Name(), of.Uid, of.Gid, of.Mode&0o777)
		}
	}
}

func owner(t *testing.T, file string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	of, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no owner")
	}
	return of
}
