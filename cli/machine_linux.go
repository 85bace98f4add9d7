package cli

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is how long the machine has been up.
func sinceBoot() (time.Duration, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, err
	}
	return time.Duration(info.Uptime) * time.Second, nil
}

// fragile names a file system that a database should not be on, as far as it
// is known: one in memory, or one over the network.
func fragile(path string) (kind string) {
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) != nil {
		return ""
	}
	switch int64(fs.Type) { //nolint:unconvert // its type differs between platforms
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return inMemory
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return overNetwork
	}
	return ""
}
