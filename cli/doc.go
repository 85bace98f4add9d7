// Package cli is the skadi command: it parses what is typed, assembles a node
// from the packages of core and the adapters (node.go), and prints what comes
// of it. It is the one place that knows them all.
//
// What a person or a script reads goes to standard output; everything that is
// said about it goes to standard error.
package cli
