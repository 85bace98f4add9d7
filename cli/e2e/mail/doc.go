// Package mail holds the tests that drive the real server and the real agent by
// real mail: programs that others wrote send it, carry it and keep it. It has no
// other code.
package mail
