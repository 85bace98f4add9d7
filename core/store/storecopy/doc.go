// Package storecopy takes everything from one database to another, so that
// who began with SQLite outgrows it without losing a job.
//
// The tables and columns are those that both schemas have, read from the
// databases themselves, so that a new table cannot be forgotten. What comes
// along are also the replies that nobody was told yet and the numbers from
// which jobs get their codes. What belongs to running servers stays: who they
// are, and the leases that they hold.
//
// The source is read in one snapshot. The target is written in many short
// transactions, and carries a mark from the first to the last of them: no
// server works on a database with the mark (see Unfinished), and another copy
// into it begins anew.
//
// MySQL keeps keys of more than 1,024 bytes in a shorter form. On the way back
// to SQLite they stay as they are, so that a message with such a key which is
// delivered again after that counts as a new one.
package storecopy
