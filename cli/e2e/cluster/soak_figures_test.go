//go:build linux

package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// process is a program whose figures are taken.
type process struct {
	program *programs.Program
	node    *node     // if it is a server
	figures string    // the address of its metrics
	since   time.Time // it runs
}

// sample is what a process takes at a moment.
type sample struct {
	who    string
	worker bool
	age    time.Duration // of the process

	rss, goroutines, files int // rss in KiB
}

// The figures of a sample, in the order of the table's columns.
var figureNames = []string{"RSS (MiB)", "goroutines", "open files"}

func (s sample) figures() []int { return []int{s.rss / 1024, s.goroutines, s.files} }

// sample takes the figures of all processes but one that is down.
func (k *soak) sample(down *process) {
	k.t.Helper()
	now, count := time.Now(), int(k.pushed.count.Load())
	if !k.sampled.IsZero() {
		k.rates = append(k.rates, int(float64(count-k.counted)/now.Sub(k.sampled).Seconds()))
	}
	k.sampled, k.counted = now, count
	for _, p := range append(append([]*process{}, k.servers...), k.workers...) {
		if p == down {
			continue
		}
		if s, err := k.take(p); err == nil { // a node that starts has none
			k.samples = append(k.samples, s)
		}
	}
}

func (k *soak) take(p *process) (s sample, err error) {
	s = sample{who: p.program.Name, worker: p.node == nil, age: time.Since(p.since)}
	if s.goroutines, err = k.figure(p.figures, "go_goroutines"); err != nil {
		return s, err
	}
	proc := filepath.Join("/proc", strconv.Itoa(p.program.PID()))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return s, err
	}
	if _, err := fmt.Sscan(after(string(status), "VmRSS:"), &s.rss); err != nil {
		return s, fmt.Errorf("VmRSS: %w", err)
	}
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	s.files = len(files)
	return s, err
}

var metric = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{.*\})? ([0-9.e+-]+)$`)

// figure is a metric at an address, or the sum of those that differ in labels.
func (k *soak) figure(addr, name string) (int, error) {
	ctx, cancel := context.WithTimeout(k.t.Context(), 5*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	a, err := k.http.Do(q)
	if err != nil {
		return 0, err
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, err
	}
	sum, found := 0.0, false
	for _, m := range metric.FindAllStringSubmatch(string(text), -1) {
		if m[1] == name {
			v, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return 0, err
			}
			sum, found = sum+v, true
		}
	}
	if !found {
		return 0, fmt.Errorf("%s has no %s", addr, name)
	}
	return int(sum), nil
}

// idle takes the figures of all processes when they have nothing to do, which
// they come to after a while: the least that are seen within some seconds.
func (k *soak) idle() []sample {
	k.t.Helper()
	var least []sample
	for range 10 {
		for i, p := range append(append([]*process{}, k.servers...), k.workers...) {
			s, err := k.take(p)
			programs.Must(k.t, err)
			if i == len(least) {
				least = append(least, s)
			}
			least[i].goroutines, least[i].files = min(least[i].goroutines, s.goroutines), min(least[i].files, s.files)
			least[i].rss, least[i].age = s.rss, s.age
		}
		programs.Pause(k.t.Context(), 250*time.Millisecond)
	}
	return least
}

// spread is the least, the middle and the most of some numbers.
func spread(all []int) string {
	if len(all) == 0 {
		return "–"
	}
	slices.Sort(all)
	return fmt.Sprintf("%d / %d / %d", all[0], all[len(all)/2], all[len(all)-1])
}

// ages are where the rows of the table end.
var ages = []time.Duration{
	5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 90 * time.Second, 2 * time.Minute, 3 * time.Minute,
	6 * time.Minute, 9 * time.Minute, 12 * time.Minute, 24 * time.Hour,
}

// report prints all figures.
func (k *soak) report(jobs int, o told, idle, settled []sample) {
	k.t.Helper()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	counts := k.slack.counts()
	seconds := k.took.Seconds()
	row("time, and messages a second wanted\t%s\t%d", k.took.Round(time.Second), k.rate)
	row("messages pushed, and a second\t%d\t%.0f", k.pushed.count.Load(), float64(k.pushed.count.Load())/seconds)
	row("pushed again for want of an answer\t%d", k.pushed.repeats.Load())
	row("written in Slack, and a second\t%d\t%.0f", o.asked, float64(o.asked)/seconds)
	row("delivered by Slack again: on purpose, for want of an answer\t%d\t%d", counts["events again"], counts["events not taken"])
	row("jobs, and a second\t%d\t%.0f", jobs, float64(jobs)/seconds)
	row("pushed a second, from sample to sample, min / median / max\t%s", spread(k.rates))
	row("nodes killed, configs changed\t%d\t%d", k.kills, k.reloads)
	row("calls of Slack, of which failed\t%d\t%d\t%.1f %%", counts["calls"], counts["failed"], 100*float64(counts["failed"])/float64(max(counts["calls"], 1)))
	row("posts and edits that Slack took without saying so\t%d\t%d", counts["failed lost chat.postMessage"], counts["failed lost chat.update"])
	row("answers, of which repeat another, of which stay unfinished\t%d\t%d\t%d", o.answers, o.repeated, o.left)
	row("ends of jobs shown, of which again\t%d\t%d", o.ends, o.ends-o.asked)
	for _, worker := range []bool{false, true} {
		row("\n%s, min / median / max by age\tsamples\t%s", map[bool]string{false: "nodes", true: "agents"}[worker], strings.Join(figureNames, "\t"))
		from := time.Duration(0)
		for _, to := range ages {
			columns := make([][]int, len(figureNames))
			for _, s := range k.samples {
				if s.worker == worker && s.age >= from && s.age < to {
					for i, v := range s.figures() {
						columns[i] = append(columns[i], v)
					}
				}
			}
			if n := len(columns[0]); n > 0 {
				row("%s – %s\t%d\t%s\t%s\t%s", from, to, n, spread(columns[0]), spread(columns[1]), spread(columns[2]))
			}
			from = to
		}
	}
	row("\nidle, before and after\tage\t%s", strings.Join(figureNames, "\t"))
	for i, s := range settled {
		row("%s\t%s\t%d, %d\t%d, %d\t%d, %d", s.who, s.age.Round(time.Second), idle[i].rss/1024, s.rss/1024,
			idle[i].goroutines, s.goroutines, idle[i].files, s.files)
		// What stays after all is done would be more with each job.
		if most := idle[i].goroutines + soakSpare; s.goroutines > most {
			k.t.Errorf("%s has %d goroutines when all is done, and had %d before", s.who, s.goroutines, idle[i].goroutines)
		}
		if most := idle[i].files + soakSpare; s.files > most {
			k.t.Errorf("%s has %d open files when all is done, and had %d before", s.who, s.files, idle[i].files)
		}
	}
	_ = w.Flush()
	k.t.Logf("figures of the soak:\n%s", b.String())
}

// soakSpare is how many goroutines and files a process may have more when all
// is done: connections that are kept for a while.
const soakSpare = 60
