package cli

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// The parts of a node that /readyz names.
const (
	partDatabase = "database"
	partSchema   = "schema"
	partQueue    = "queue"
)

// schemaEvery is how often a server that is asked whether it is ready looks at
// the schema, which is on connections of its own.
const schemaEvery = 10 * time.Second

// checks are those of /readyz.
func (n *node) checks() map[string]func(context.Context) error {
	schema := &schemaCheck{place: n.base.place}
	checks := map[string]func(context.Context) error{
		partDatabase: n.base.Ping,
		partSchema:   schema.check,
	}
	if n.queue.ping != nil {
		checks[partQueue] = n.queue.ping
	}
	return checks
}

// schemaCheck finds out whether a newer program has changed the schema so
// that this one cannot go on.
type schemaCheck struct {
	place place

	mu    sync.Mutex
	asked time.Time
	err   error
}

// check keeps its answer for a while. A database that is away is not its
// business.
func (s *schemaCheck) check(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.asked) < schemaEvery {
		return s.err
	}
	schema, err := s.place.schema(ctx)
	switch {
	case err == nil:
		s.err = schema.Err()
	case errors.Is(err, job.ErrUnavailable), ctx.Err() != nil:
		return nil
	default:
		s.err = err
	}
	s.asked = time.Now()
	return s.err
}
