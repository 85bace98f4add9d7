// Package sqlite keeps Skadi's state in one SQLite file: jobs, agents and events,
// tokens and the audit log, and the small values that adapters share.
//
// All writes of a process go through one goroutine, which commits together
// whatever queued up during the last commit (see writer). So a write is on
// the disk when its method returns, and yet many of them share one fsync.
package sqlite
