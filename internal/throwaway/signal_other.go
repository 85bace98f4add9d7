//go:build !unix

package throwaway

import "syscall"

// Sending these fails, and with it the test that wants to stop a server.
const (
	sigStop = syscall.Signal(19)
	sigCont = syscall.Signal(18)
)
