//go:build !unix

package throwaway

import "syscall"

// Sending these fails, and with it the test that wants to stop a server.
const (
	sigStop = syscall.Signal(19)
	sigCont = syscall.Signal(18)
)

// inGroup does nothing: there are no such groups.
func inGroup(a *syscall.SysProcAttr) *syscall.SysProcAttr { return a }

func killGroup(int) error { return nil }
