//go:build unix

package command

// platformKept is what programs of this system cannot do without.
var platformKept = []string{"TMPDIR"}
