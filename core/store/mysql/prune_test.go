package mysql

import (
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// TestPruneLeavesWhatIsLocked has a job that gets a late report while it would
// be removed.
func TestPruneLeavesWhatIsLocked(t *testing.T) {
	t.Parallel()
	clock := newClock()
	nodes := openNodes(t, 2, Config{Clock: clock.Now})
	ctx := t.Context()
	j := putJob(t, nodes[0], "web-1", nil)
	if us, err := nodes[0].Update(ctx, job.ByID("default", j.ID), moved(job.Canceled)); err != nil || us[0].Err != nil {
		t.Fatal(us, err)
	}
	es, err := nodes[0].Unpublished(ctx, 10)
	if err == nil {
		err = nodes[0].MarkPublished(ctx, es)
	}
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(1000 * time.Hour)
	prune := func() int {
		t.Helper()
		n, err := nodes[1].Prune(ctx, clock.Now(), 10)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	locked := false
	us, err := nodes[0].Update(ctx, job.ByID("default", j.ID), func(v job.View) (*job.Change, error) {
		if !locked {
			locked = true
			if n := prune(); n != 0 {
				t.Errorf("%d jobs were removed that somebody writes", n)
			}
		}
		after := v.Job
		after.Version++
		return &job.Change{Job: after, Events: []job.Event{eventOf(after, v.Now)}}, nil
	})
	if err != nil || us[0].Err != nil {
		t.Fatal(us, err)
	}
	if n := prune(); n != 0 {
		t.Errorf("%d jobs were removed with an event that is to be published", n)
	}
	if es, err = nodes[0].Unpublished(ctx, 10); err == nil {
		err = nodes[0].MarkPublished(ctx, es)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := prune(); n != 1 {
		t.Errorf("%d jobs were removed, want 1", n)
	}
}
