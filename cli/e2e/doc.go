// Package e2e holds the tests that build skadi and agentd and run them as a
// person would. It has no other code.
package e2e
