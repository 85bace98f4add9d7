//go:build unix

package cluster

import (
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestMariaDBKilled kills the database under load, for moments and for longer
// than the leases hold.
func TestMariaDBKilled(t *testing.T) {
	t.Parallel()
	db := throwaway.NewMariaDB(t)
	s := newSite(t, 2, db.Database(t), redisQueue(throwaway.Redis(t)))
	l := s.load()
	for _, down := range []time.Duration{0, time.Second, 8 * time.Second} {
		l.flows(20)
		db.Kill()
		programs.Pause(t.Context(), down)
		db.Start()
	}
	l.flows(20)
	// A reply that was sent while its record could not be written is known to
	// the node that sent it, unless another took over its partition meanwhile.
	if o := l.judge(); o.repeated > conversations {
		t.Errorf("%d replies repeat: more than could be on their way", o.repeated)
	}
}

// TestMariaDBStopped stops the database without ending its connections.
func TestMariaDBStopped(t *testing.T) {
	t.Parallel()
	db := throwaway.NewMariaDB(t)
	s := newSite(t, 2, db.Database(t), redisQueue(throwaway.Redis(t)))
	l := s.load()
	for _, stopped := range []time.Duration{time.Second, 8 * time.Second} {
		l.flows(20)
		db.Stop()
		programs.Pause(t.Context(), stopped)
		db.Cont()
	}
	l.flows(20)
	if o := l.judge(); o.repeated > conversations {
		t.Errorf("%d replies repeat: more than could be on their way", o.repeated)
	}
}
