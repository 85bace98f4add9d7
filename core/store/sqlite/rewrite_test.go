package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/letserverrun/skadi/core/job"
)

// One member may change more jobs than one statement takes, in several widths,
// and one of them more than once.
func TestManyJobsAreUpdatedTogether(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "skadi.db")
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	addAgent(t, s, "web-1")
	const jobs = 32 + 8 + 8 + 3
	ids := make([]string, jobs, 2*jobs)
	for i := range ids {
		j, err := createOne(ctx, s, testEntry("web-1"))
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = j.ID
	}
	// Each is sent, every other one also finishes in the same call, and the
	// first is heard of once more before.
	sent := map[string]int{}
	move := func(v job.View) (*job.Change, error) {
		n := sent[v.Job.ID]
		sent[v.Job.ID]++
		switch {
		case n == 0:
			return testMove(job.Sent)(v)
		case v.Job.ID == ids[0] && n == 1:
			j := v.Job
			j.LastWordAt, j.Version = v.Now, j.Version+1
			return &job.Change{Job: j}, nil
		}
		return testMove(job.Succeeded)(v)
	}
	all := append(ids, ids[0])
	for i := 0; i < jobs; i += 2 {
		all = append(all, ids[i])
	}
	updated, err := s.Update(ctx, job.ByID("default", all...), move)
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]job.Job{}
	for _, u := range updated {
		if u.Err != nil || !u.Changed {
			t.Fatalf("job %s: changed %t, error %v", u.Job.ID, u.Changed, u.Err)
		}
		last[u.Job.ID] = u.Job
	}
	for i, id := range ids {
		j, err := s.Job(ctx, "default", id)
		if err != nil {
			t.Fatal(err)
		}
		want := job.Sent
		if i%2 == 0 {
			want = job.Succeeded
		}
		if j.Status != want || fmt.Sprint(j.Version, j.Lease, j.SentAt, j.FinishedAt, j.DueAt) !=
			fmt.Sprint(last[id].Version, last[id].Lease, last[id].SentAt, last[id].FinishedAt, last[id].DueAt) {
			t.Errorf("job %d is stored as %+v, want it %s as it was answered: %+v", i, j, want, last[id])
		}
	}
}
