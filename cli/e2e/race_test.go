//go:build race && unix

package e2e

// buildFlags make the programs under test like the test itself, so that the
// race detector sees them too and the build cache serves both.
var buildFlags = []string{"-race"}
