//go:build unix

// Package programs builds Skadi's programs for the tests that run the real ones
// and kill them, and has what such tests wait with.
package programs
