// Package chats holds the tests that drive the real server and the real agent
// from the far side of a chat, or of a CI system: a program in another language plays the
// platform, with none of this module's code nor of the client libraries that
// it links. It has no other code.
package chats
