package main

import (
	"testing"
	"time"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	before := map[string]time.Duration{"skadi": time.Second, "mariadbd": 2 * time.Second}
	after := map[string]time.Duration{"skadi": 2 * time.Second, "mariadbd": 5 * time.Second}
	u := usageOf(before, after, 2*time.Second)
	u.add("load", 500*time.Millisecond)
	u.jobs = 1000
	if got, want := u.String(), "mariadbd 1.50, skadi 0.50, load 0.25"; got != want {
		t.Errorf("processors busy are %q, want %q", got, want)
	}
	if got, want := u.perJob(), "mariadbd 3000 µs, skadi 1000 µs, load 500 µs"; got != want {
		t.Errorf("the time per job is %q, want %q", got, want)
	}
	if u.most() != "mariadbd" || u.of("skadi") != time.Second {
		t.Errorf("most is %s, skadi took %s", u.most(), u.of("skadi"))
	}
	less := usageOf(before, before, time.Second)
	if m := medianUsage([]usage{u, less, u}); m.total() != u.total() {
		t.Errorf("the middle of three took %s, want %s", m.total(), u.total())
	}
	if m := medianUsage(nil); m.most() != "" || m.perJob() != "" {
		t.Errorf("the middle of none is %+v", m)
	}
}

func TestAgainst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ours, theirs float64
		ratio        string
		met          verdict
	}{
		{1000, 0, "", unjudged},
		{1000, 1000, "1.00×", short},
		{1500, 1000, "1.50×", met},
		{2500, 1000, "2.50×", "yes, 2.5×"},
	} {
		r := row{}.against(c.ours, "asynq", c.theirs, 1.5, 2.5)
		if r.ratio != c.ratio || r.met != c.met {
			t.Errorf("%g beside %g: %q, %q; want %q, %q", c.ours, c.theirs, r.ratio, r.met, c.ratio, c.met)
		}
	}
}
