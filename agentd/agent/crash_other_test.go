//go:build !unix

package agent_test

// Elsewhere there is no crash test, and so no process to be.
const childEnv = "SKADI_AGENT_TEST_SERVER"

func child() {}
