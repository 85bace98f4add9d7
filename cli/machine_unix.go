//go:build linux || darwin

package cli

import "golang.org/x/sys/unix"

// diskSpace is the size of the file system that holds path, and what of it
// may still be used, in bytes.
func diskSpace(path string) (size, free uint64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return 0, 0, err
	}
	block := uint64(fs.Bsize) //nolint:gosec // a block's size is positive
	return fs.Blocks * block, fs.Bavail * block, nil
}
