//go:build !linux

package store

import "testing"

func smallDisk(*testing.T) (folder string, ok bool) { return "", false }
