package sqlite

import (
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a disk of 8 MB, if this user may.
func smallDisk(t *testing.T) (folder string, ok bool) {
	t.Helper()
	folder = t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=8m"); err != nil {
		t.Logf("no small disk can be mounted: %v", err)
		return "", false
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder, true
}
