//go:build !race && unix

package cluster

var buildFlags []string
