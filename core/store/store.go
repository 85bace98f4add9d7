// Package store is what the databases behind Skadi have in common: one
// interface, and how far a schema is. Package sqlite keeps everything in one
// file, package mysql on a server that many nodes share. Both pass the suites
// jobtest and storetest.
package store

import (
	"context"
	"fmt"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/node"
)

// Store is all that a database does for Skadi. Its methods may be called
// concurrently.
type Store interface {
	job.Store
	events.Store
	access.TokenStore
	access.AuditStore
	node.Store

	// Undelivered notes, once, that an event did not arrive though it was told;
	// DeadLetters then lists it. Of one that is not there it notes nothing.
	Undelivered(ctx context.Context, space, subject string, version int64, why string) error

	// KV returns the values below a prefix, such as an adapter account's name.
	KV(prefix string) chat.KV
	// Leaser returns the leases as one holder sees them; each process is a
	// holder of its own, named so that no two are the same.
	Leaser(holder string) chat.Leaser

	// Default returns the agent that a conversation means when it names none;
	// empty if none was set.
	Default(ctx context.Context, space, account, key string) (agent string, err error)
	// SetDefault sets the agent that a conversation means when it names none;
	// an empty one ends that.
	SetDefault(ctx context.Context, space, account, key, agent string) error

	// Ping reports whether the database can be read and written now.
	Ping(ctx context.Context) error
	// Close waits for the writes that were begun. Later calls of any method
	// answer job.ErrUnavailable. Closing twice is no error.
	Close() error
}

// Schema is how far the schema of a database is. Migrations only add to it for
// one release, so that servers of the old and the new one run side by side.
type Schema struct {
	// Version is the database's, 0 for one that has no schema yet.
	Version int64
	// Newest is the version that this program brings it to.
	Newest int64
	// MinReader is the oldest version whose programs can still use the
	// database as it is; 0 if the database does not say.
	MinReader int64
}

// Err says why this program cannot use the database as it is, and how to mend
// that; nil if it can.
func (s Schema) Err() error {
	switch {
	case s.Version < s.Newest:
		return &BehindError{Schema: s}
	case s.Version > s.Newest && (s.MinReader == 0 || s.MinReader > s.Newest):
		return fmt.Errorf("it was written by a newer Skadi: its schema has version %d and this program knows up to %d; "+
			"run the newer program, or restore a backup made before the upgrade", s.Version, s.Newest)
	}
	return nil
}

// BehindError says that a schema is to be brought up to date first.
type BehindError struct{ Schema Schema }

func (e *BehindError) Error() string { return e.With("skadi migrate up") }

// With is the error's text with the command that mends it.
func (e *BehindError) With(command string) string {
	if e.Schema.Version == 0 {
		return fmt.Sprintf("it has no schema yet: run `%s`", command)
	}
	return fmt.Sprintf("its schema has version %d and this program needs %d: run `%s`", e.Schema.Version, e.Schema.Newest, command)
}
