//go:build !linux

package sqlite

import "testing"

func smallDisk(*testing.T) (folder string, ok bool) { return "", false }
