//go:build !race && unix

package mail

var buildFlags []string
