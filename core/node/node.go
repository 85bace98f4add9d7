// Package node knows the servers that share one database: who they are, which
// of them are alive, and what only one of them does at a time.
//
// A Registry makes a server known to the others and shows them. A Duty is a
// piece of work that one of them does for all, by a lease in the database.
package node

import (
	"context"
	"os"
	"time"

	"github.com/google/uuid"
)

const (
	// heartbeat is how often a node says that it is there.
	heartbeat = 5 * time.Second
	// AliveFor is how long after its last word a node counts as alive: three
	// words may be lost.
	AliveFor = 20 * time.Second
	// keepFor is how long a node that is gone is still shown.
	keepFor = 24 * time.Hour
)

// Node is one running server. A program that is started again is another
// node, so that it cannot take a lease of its former self for its own.
type Node struct {
	// ID is unique, and the name under which the node holds leases.
	ID      string
	Host    string
	Addr    string // where it listens
	Version string // of the program
	// StartedAt is by the node's own clock, SeenAt by the store's.
	StartedAt time.Time
	SeenAt    time.Time
}

// Self returns a new node for this process.
func Self(addr, version string, now time.Time) (Node, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Node{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown" // it is only shown
	}
	return Node{ID: id.String(), Host: host, Addr: addr, Version: version, StartedAt: now.UTC()}, nil
}

// Lease is a lease of the store that somebody holds, or held until lately.
type Lease struct {
	Name   string
	Holder string // a node's ID
	Epoch  int64
	Until  time.Time
}

// Store keeps nodes. All methods may be called concurrently.
type Store interface {
	// Now is the clock that leases and liveness use: the database's, or the
	// process's clock where the database has none.
	Now(ctx context.Context) (time.Time, error)
	// SaveNode adds the node, or writes all of it again. SeenAt is not the
	// one given but the store's clock.
	SaveNode(ctx context.Context, n Node) error
	// RemoveNode forgets the node, which stopped. One that is not there is no
	// error.
	RemoveNode(ctx context.Context, id string) error
	// Nodes returns all nodes kept, the one started last first, and of those
	// started together by ID.
	Nodes(ctx context.Context) ([]Node, error)
	// PruneNodes forgets the nodes last seen before that time.
	PruneNodes(ctx context.Context, seenBefore time.Time) error
	// Leases returns the leases that have a holder and have not run out, by
	// name.
	Leases(ctx context.Context) ([]Lease, error)
}
