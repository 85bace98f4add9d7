package mysql

import (
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/job"
)

// TestManyAtOnce changes many jobs in one call that have little in common:
// their versions, and results from none to long ones.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	const n = 2*updateRows + 7
	ids := make([]string, n)
	for i := range ids {
		ids[i] = putJob(t, s, "web-1", nil).ID
	}
	again := func(ids []string) {
		t.Helper()
		us, err := s.Update(t.Context(), job.ByID("default", ids...), to(job.Queuing, job.Queuing, nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range us {
			if u.Err != nil {
				t.Fatal(u.Err)
			}
		}
	}
	again(ids[:n/2])
	again(ids[n/3 : n/2])
	output := func(i int) string {
		if i%10 == 0 {
			return strings.Repeat("'\\\"é\n", 50_000) // twelve of them are more than one statement takes
		}
		return strings.Repeat("x", i)
	}
	places := map[string]int{}
	for i, id := range ids {
		places[id] = i
	}
	us, err := s.Update(t.Context(), job.ByID("default", ids...), func(v job.View) (*job.Change, error) {
		i := places[v.Job.ID]
		return to(job.Queuing, job.Failed, func(j *job.Job) {
			j.Result = &job.Result{Output: output(i), Digest: "d"}
			if i%3 == 0 {
				j.Result.ExitCode = &i
			}
		})(v)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range us {
		if u.Err != nil {
			t.Fatal(u.Err)
		}
		j, err := s.Job(t.Context(), "default", ids[i])
		if err != nil {
			t.Fatal(err)
		}
		code := j.Result.ExitCode
		if j.Version != u.Job.Version || j.Status != job.Failed || j.Result.Output != output(i) ||
			(code == nil) != (i%3 != 0) || code != nil && *code != i {
			t.Fatalf("job %d is %s at version %d with %d bytes and %v", i, j.Status, j.Version, len(j.Result.Output), code)
		}
	}
}

// TestManyAlike changes more jobs than one statement takes in the same way, of
// which some are that way already.
func TestManyAlike(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	ids := make([]string, alikeRows+3)
	for i := range ids {
		ids[i] = putJob(t, s, "web-1", nil).ID
	}
	hold := func(ids []string, lease string) {
		t.Helper()
		us, err := s.Update(t.Context(), job.ByID("default", ids...), to(job.Queuing, job.Queuing, func(j *job.Job) { j.Lease = lease }))
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range us {
			if u.Err != nil {
				t.Fatal(u.Err)
			}
		}
	}
	hold(ids[:2], "one")
	hold(ids[1:2], "two")
	hold(ids, "two")
	for i, id := range ids {
		j, err := s.Job(t.Context(), "default", id)
		if err != nil {
			t.Fatal(err)
		}
		want := int64(2)
		if i < 2 {
			want = int64(3 + i)
		}
		if j.Lease != "two" || j.Version != want {
			t.Fatalf("job %d has lease %q at version %d, want two at %d", i, j.Lease, j.Version, want)
		}
	}
}
