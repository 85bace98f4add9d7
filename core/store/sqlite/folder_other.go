//go:build !unix

package sqlite

import "os"

// syncFolder does nothing: the system keeps names in order by itself.
func syncFolder(string) error { return nil }

// belong does nothing: files are their folder's by themselves.
func belong(*os.File) error { return nil }
