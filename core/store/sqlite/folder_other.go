//go:build !unix

package sqlite

// syncFolder does nothing: the system keeps names in order by itself.
func syncFolder(string) error { return nil }
