// Package cluster holds the tests that run several real servers on one MariaDB
// and one Redis, break what they stand on, and count: messages in, jobs made,
// executions, replies out. It has no other code; package room is the channel
// that the replies come back to, and worker an agent for many jobs.
package cluster
