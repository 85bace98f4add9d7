//go:build race && unix

package chats

// buildFlags make the programs under test like the test itself, so that the
// race detector sees them too.
var buildFlags = []string{"-race"}
