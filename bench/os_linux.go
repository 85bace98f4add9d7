package main

import "syscall"

// dieWithParent lets a process go down with the one that started it.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// dieAs does so too, as another user.
func dieAs(uid, gid uint32) *syscall.SysProcAttr {
	as := dieWithParent()
	as.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	return as
}

// inMemory reports whether a folder is on no disk.
func inMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return false
	}
	kind := int64(fs.Type) //nolint:unconvert // 32 bits wide on some machines
	return kind == tmpfs || kind == ramfs
}
