// Package mysql keeps Skadi's state on a MySQL or MariaDB server that any
// number of nodes share: MySQL from 8.0.13 on, MariaDB from 10.6 on.
//
// Reads go through a pool of connections. All writes of a process go through
// two goroutines, each with a connection of its own, which commit together
// whatever queued up during their last commit (see writer). Transactions are
// READ COMMITTED, short, and repeated when the server says that they met
// another one, or when the connection broke and they did not come to be.
//
// What the package does not rely on: that numbers of AUTO_INCREMENT follow
// each other or the order of commits, named locks, gap locks, statements in one
// packet, and that a node's memory is up to date. So a cluster that finds
// conflicts only at COMMIT merely makes it try again. What clusters need besides
// is in cluster.go, writer.operation and readers. docs/mysql.md says what was
// tested.
//
// # Adding to it
//
// A read is s.query or s.row; it is repeated if the connection was lost. A
// write is s.write with a function of the transaction, which uses t.exec,
// t.query, t.row and the time t.now, and returns refuse(err) for what is the
// caller's fault. The function may run more than once, so it starts from
// nothing each time. Arguments are int64, string, []byte or nil, and stand in
// the statement's text (see session). A statement may not leave a cursor open.
package mysql
