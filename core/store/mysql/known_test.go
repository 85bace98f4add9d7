package mysql

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/letserverrun/skadi/core/job"
)

// handOver gives the agent all its jobs.
func handOver(v job.View) (*job.Change, error) {
	j := v.Job
	j.Status, j.Lease, j.SentAt, j.Attempt, j.DueAt = job.Sent, "lease of "+j.ID, v.Now, j.Attempt+1, v.Now.Add(time.Minute)
	j.Version++
	return &job.Change{Job: j, Events: []job.Event{eventOf(j, v.Now)}}, nil
}

// TestKnownIsWhatIsStored holds what is remembered of jobs against what the
// database has.
func TestKnownIsWhatIsStored(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{DSN: newDatabase(t)})
	ctx := t.Context()
	j := putJob(t, s, "web-1", nil)
	for _, step := range []func() ([]job.Updated, error){
		func() ([]job.Updated, error) { return nil, nil },
		func() ([]job.Updated, error) { return s.Update(ctx, job.Claimable("default", "web-1", 5), handOver) },
		func() ([]job.Updated, error) { return s.Update(ctx, job.ByID("default", j.ID), touched) },
	} {
		if us, err := step(); err != nil || len(us) > 0 && us[0].Err != nil {
			t.Fatal(us, err)
		}
		stored, err := s.Job(ctx, "default", j.ID)
		if err != nil {
			t.Fatal(err)
		}
		known, ok := s.known.get(j.ID)
		if !ok {
			t.Fatalf("version %d is not remembered", stored.Version)
		}
		if diff := cmp.Diff(stored, *known); diff != "" {
			t.Errorf("(-stored +known):\n%s", diff)
		}
	}
	if us, err := s.Update(ctx, job.ByID("default", j.ID), moved(job.Succeeded)); err != nil || us[0].Err != nil {
		t.Fatal(us, err)
	}
	if _, ok := s.known.get(j.ID); ok {
		t.Error("a job that is done is remembered")
	}
}

func touched(v job.View) (*job.Change, error) {
	v.Job.Version++
	v.Job.LastWordAt = v.Now
	return &job.Change{Job: v.Job}, nil
}

// TestKnownIsOld has a node work on jobs that another node has changed since.
func TestKnownIsOld(t *testing.T) {
	t.Parallel()
	nodes := openNodes(t, 2, Config{})
	ctx := t.Context()
	setup := func() job.Job {
		t.Helper()
		j := putJob(t, nodes[0], "web-1", nil)
		if us, err := nodes[0].Update(ctx, job.Claimable("default", "web-1", 5), handOver); err != nil || len(us) != 1 {
			t.Fatal(us, err)
		}
		if us, err := nodes[1].Update(ctx, job.ByID("default", j.ID), touched); err != nil || us[0].Err != nil {
			t.Fatal(us, err)
		}
		return j
	}
	for name, decide := range map[string]job.Decide{
		"to change it": touched,
		"to leave it":  func(job.View) (*job.Change, error) { return nil, nil },
	} {
		j := setup()
		var seen []int64
		us, err := nodes[0].Update(ctx, job.ByID("default", j.ID, "none"), func(v job.View) (*job.Change, error) {
			seen = append(seen, v.Job.Version)
			return decide(v)
		})
		if err != nil || us[0].Err != nil || us[1].Err == nil {
			t.Fatal(name, us, err)
		}
		if len(seen) != 2 || seen[0] != 2 || seen[1] != 3 || us[0].Job.Version < 3 {
			t.Errorf("%s: it was decided on versions %d, and is version %d", name, seen, us[0].Job.Version)
		}
	}
	// Claimed again after its offer ran out, by somebody else.
	j := putJob(t, nodes[0], "web-2", nil)
	offer := func(v job.View) (*job.Change, error) {
		v.Job.Version++
		v.Job.Lease, v.Job.OfferedUntil = "offer", v.Now.Add(-time.Second)
		return &job.Change{Job: v.Job}, nil
	}
	for i, s := range []*Store{nodes[0], nodes[1], nodes[0]} {
		us, err := s.Update(ctx, job.Claimable("default", "web-2", 5), offer)
		if err != nil || len(us) != 1 || us[0].Job.ID != j.ID || us[0].Job.Version != int64(i+2) {
			t.Fatal(us, err)
		}
	}
}
