//go:build !race && unix

package chats

var buildFlags []string
