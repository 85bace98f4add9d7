package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// latencyRate is the load under which latency is measured, in jobs per second.
const latencyRate = 200

// latency measures how long a job takes from its push to its handler at a
// rate that leaves everything room.
func (b *bench) latency(ctx context.Context) error {
	jobs, runs := 10*latencyRate, 3
	if b.short {
		jobs, runs = 2*latencyRate, 1
	}
	kinds := []struct {
		name string
		run  func() (outcome, error)
	}{
		{"plain", func() (outcome, error) { return b.skadiRun(ctx, jobs, latencyRate, false) }},
		{"confirmed", func() (outcome, error) { return b.skadiRun(ctx, jobs, latencyRate, true) }},
		{"asynq tuned", func() (outcome, error) {
			return b.asynqRun(ctx, asynqLoad{Jobs: jobs, Rate: latencyRate, Producers: 50, Workers: 50, Interval: time.Millisecond})
		}},
		{"asynq", func() (outcome, error) {
			return b.asynqRun(ctx, asynqLoad{Jobs: jobs, Rate: latencyRate, Producers: 50, Workers: 50})
		}},
	}
	accepted, sent := map[string][]spread{}, map[string][]spread{}
	for run := range runs {
		for _, k := range kinds {
			if b.redis == nil && strings.HasPrefix(k.name, "asynq") {
				continue
			}
			o, err := k.run()
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			accepted[k.name], sent[k.name] = append(accepted[k.name], o.FromAccepted), append(sent[k.name], o.FromSent)
			b.say("run %d of %d: %-11s accepted → started %s, sent → started %s", run+1, runs, k.name, o.FromAccepted, o.FromSent)
		}
	}
	fsync, err := b.fsync()
	if err != nil {
		return err
	}

	b.table.heading(fmt.Sprintf("latency at %d jobs/s, p50 / p99, median of %d runs of %s jobs", latencyRate, runs, thousands(int64(jobs))))
	for _, k := range []struct {
		from string
		runs map[string][]spread
	}{{"accepted", accepted}, {"sent", sent}} {
		tuned := medianSpread(k.runs["asynq tuned"])
		for _, name := range []string{"plain", "confirmed"} {
			got := medianSpread(k.runs[name])
			r := row{what: fmt.Sprintf("push %s → handler starts, %s", k.from, name), value: got.String()}
			if b.redis != nil {
				r.beside = "asynq tuned " + tuned.String()
				r.ratio = times(float64(got.P50), float64(tuned.P50))
			}
			if name == "plain" && k.from == "accepted" {
				r.asked = "below 2.5 / 10 ms"
				r.met = judge(got.P50 < 2500*time.Microsecond && got.P99 < 10*time.Millisecond)
			}
			b.table.add(r)
		}
	}
	if b.redis != nil {
		b.table.add(row{what: "asynq as it comes, accepted → handler starts", beside: medianSpread(accepted["asynq"]).String()})
	}
	b.table.add(row{what: "one fsync of this disk", beside: fsync.String()})
	return nil
}

// fsync measures writing a page to the end of a file and syncing it.
func (b *bench) fsync() (spread, error) {
	f, err := os.OpenFile(filepath.Join(b.dir, "fsync"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return spread{}, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { _ = f.Close() }()
	page := make([]byte, 4096)
	took := make([]time.Duration, 500)
	for i := range took {
		begin := time.Now()
		if _, err := f.Write(page); err != nil {
			return spread{}, err
		}
		if err := f.Sync(); err != nil {
			return spread{}, err
		}
		took[i] = time.Since(begin)
	}
	return spreadOf(took), nil
}
