//go:build race && unix

package mail

// buildFlags make the programs under test like the test itself, so that the
// race detector sees them too.
var buildFlags = []string{"-race"}
