//go:build unix

package throwaway

import "syscall"

const (
	sigStop = syscall.SIGSTOP
	sigCont = syscall.SIGCONT
)

// inGroup makes the server the head of a group of processes.
func inGroup(a *syscall.SysProcAttr) *syscall.SysProcAttr {
	if a == nil {
		a = &syscall.SysProcAttr{}
	}
	a.Setpgid = true
	return a
}

// killGroup kills the processes of a server's group.
func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }
