//go:build race && unix

package programs

// BuildFlags make the programs under test like the test itself, so that the
// race detector sees them too and the build cache serves both.
var BuildFlags = []string{"-race"}
