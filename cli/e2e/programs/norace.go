//go:build !race && unix

package programs

// BuildFlags is empty where the test itself runs without the race detector.
var BuildFlags []string
