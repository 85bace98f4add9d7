// Package redis is the queue on Redis 6.2 or newer: alone, watched by
// Sentinels, or as a Cluster. docs/events.md describes what it writes there,
// for services of the operator's own.
//
// Redis may be away, emptied, failed over or replaced by an empty one: the
// outbox in the database is the truth, and whoever consumes is told by Lost
// when something may have been lost. Nothing blocks while Redis is away.
//
// No command blocks in Redis. Whoever publishes also says so on a channel
// (see bus), and readers ask every half second besides. So a node needs few
// connections, also for many partitions of a Cluster, and every call ends soon
// when its context does, which go-redis does not do for blocking ones.
package redis
