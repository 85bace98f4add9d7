package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// usage is the processor time that kinds of process took during a load.
type usage struct {
	names []string
	times []time.Duration
	over  time.Duration
	jobs  int
}

// usedBy returns the processor time that running programs took so far.
func usedBy(watched map[string][]*process) map[string]time.Duration {
	used := map[string]time.Duration{}
	for name, all := range watched {
		for _, p := range all {
			used[name] += p.used()
		}
	}
	return used
}

func usageOf(before, after map[string]time.Duration, over time.Duration) usage {
	u := usage{over: over}
	names := make([]string, 0, len(after))
	for name := range after {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		u.add(name, after[name]-before[name])
	}
	return u
}

func (u *usage) add(name string, d time.Duration) {
	u.names, u.times = append(u.names, name), append(u.times, d)
}

func (u usage) of(name string) time.Duration {
	if i := slices.Index(u.names, name); i >= 0 {
		return u.times[i]
	}
	return 0
}

// String says how many processors each kept busy.
func (u usage) String() string {
	parts := make([]string, len(u.names))
	for i, name := range u.names {
		parts[i] = fmt.Sprintf("%s %.2f", name, u.times[i].Seconds()/u.over.Seconds())
	}
	return strings.Join(parts, ", ")
}

// perJob says how much processor time a job took of each.
func (u usage) perJob() string {
	parts := make([]string, len(u.names))
	for i, name := range u.names {
		parts[i] = name + " " + micros(u.times[i], u.jobs)
	}
	return strings.Join(parts, ", ")
}

// most names the kind of process that took most.
func (u usage) most() string {
	if len(u.times) == 0 {
		return ""
	}
	return u.names[slices.Index(u.times, slices.Max(u.times))]
}

// medianUsage is the run in the middle by what all took together. All have
// the same names.
func medianUsage(all []usage) usage {
	if len(all) == 0 {
		return usage{}
	}
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b usage) int { return int(a.total() - b.total()) })
	return sorted[len(sorted)/2]
}

func (u usage) total() (sum time.Duration) {
	for _, d := range u.times {
		sum += d
	}
	return sum
}
