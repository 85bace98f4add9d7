//go:build !windows

package service

import (
	"context"
	"io"
)

// Main runs the program and returns its exit code. On Windows it does so as the
// service of that name if the Service Control Manager started it: with the
// system's event log in place of stderr, and started again if it fails, unless
// with one of the codes never.
func Main(_ string, _ []int, stderr io.Writer, program Program) int {
	return program(context.Background(), stderr)
}
