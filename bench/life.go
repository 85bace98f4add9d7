package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// bench is what the parts share.
type bench struct {
	programs programs
	redis    *redisServer // nil: there is nothing to compare with
	dir      string
	runs     int
	jobs     int      // of one run of the whole life
	kinds    []string // of load in the parts life and production; nil: all
	short    bool
	table    *table
	say      func(format string, args ...any)
}

// scratch calls f with a folder that is removed afterwards.
func (b *bench) scratch(f func(dir string) error) error {
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return err
	}
	return errors.Join(f(dir), os.RemoveAll(dir))
}

// skadiRun is one load on a new node.
func (b *bench) skadiRun(ctx context.Context, jobs, rate int, confirm bool) (o outcome, err error) {
	err = b.scratch(func(dir string) error {
		s, err := serveNew(ctx, b.programs, dir)
		if err != nil {
			return err
		}
		o.load, err = ask(ctx, "load", s.load(jobs, rate, confirm, dir), &o)
		err = errors.Join(err, s.stop())
		o.server = s.busy()
		return err
	})
	return o, err
}

// asynqRun is one load on an empty Redis.
func (b *bench) asynqRun(ctx context.Context, l asynqLoad) (o outcome, err error) {
	if err := b.redis.empty(ctx); err != nil {
		return o, err
	}
	l.Redis = b.redis.addr
	o.load, err = ask(ctx, "asynq", l, &o)
	return o, err
}

func (b *bench) floorRun(ctx context.Context) (o outcome, err error) {
	var at floorServer
	server, err := cast(ctx, "floor-server", struct{}{}, &at)
	if err != nil {
		return o, err
	}
	_, err = ask(ctx, "floor-load", floorLoad{Addr: at.Addr, Jobs: 2 * b.jobs, Conns: 64}, &o)
	return o, errors.Join(err, server.stop())
}

// batchRun pushes 1,000 jobs with a request.
func (b *bench) batchRun(ctx context.Context) (o outcome, err error) {
	err = b.scratch(func(dir string) error {
		s, err := serveNew(ctx, b.programs, dir)
		if err != nil {
			return err
		}
		_, err = ask(ctx, "batch", batchLoad{
			Addr: s.addr, AdminToken: s.admin, AgentToken: s.agentToken, Agent: benchAgent,
			Jobs: 3 * b.jobs / 1000 * 1000, Size: 1000, Conns: 2,
		}, &o)
		return errors.Join(err, s.stop())
	})
	return o, err
}

// life measures the whole life of jobs as fast as it goes.
func (b *bench) life(ctx context.Context) error {
	rates, err := b.interleave(ctx, []kind{
		{"asynq", b.asynqLife},
		{"plain", func(ctx context.Context) (outcome, error) { return b.skadiRun(ctx, b.jobs, 0, false) }},
		{"asynq+result", func(ctx context.Context) (outcome, error) {
			return b.asynqRun(ctx, asynqLoad{Jobs: b.jobs, Producers: 50, Workers: 50, Result: true})
		}},
		{"floor", b.floorRun},
		{"confirmed", func(ctx context.Context) (outcome, error) { return b.skadiRun(ctx, b.jobs/2, 0, true) }},
		{"batch", b.batchRun},
	})
	if err != nil {
		return err
	}
	b.table.heading(fmt.Sprintf("whole life over HTTP, median of %d interleaved runs of %s jobs", b.runs, thousands(int64(b.jobs))))
	if plain := rates["plain"]; plain > 0 {
		r := row{what: "plain polls, results in batches", asked: "2× passes, 3× is the goal"}
		b.table.add(r.against(plain, "asynq", rates["asynq"], 2, 3))
		if rates["asynq+result"] > 0 {
			r := row{what: "the same, beside asynq that keeps the result too"}
			b.table.add(r.against(plain, "asynq", rates["asynq+result"], 0, 0))
		}
		if floor := rates["floor"]; floor > 0 {
			b.table.add(row{
				what: "plain polls, of the floor of HTTP", value: rate(plain, "jobs"),
				beside: "echo " + rate(floor, "requests"), ratio: times(plain, floor),
			})
		}
	}
	if confirmed := rates["confirmed"]; confirmed > 0 {
		r := row{what: "agentd's hand-over: confirmed, journaled"}
		b.table.add(r.against(confirmed, "asynq", rates["asynq"], 0, 0))
	}
	if batch := rates["batch"]; batch > 0 {
		b.table.add(row{
			what: "POST /v1/jobs/batch, 1,000 each, to durable", value: rate(batch, "jobs"),
			asked: "20,000 jobs/s", met: judge(batch >= 20_000),
		})
	}
	return nil
}

func (b *bench) asynqLife(ctx context.Context) (outcome, error) {
	return b.asynqRun(ctx, asynqLoad{Jobs: b.jobs, Producers: 50, Workers: 50})
}

// asynqSynced is asynq whose tasks are as safe as Skadi's jobs: each write is on
// the disk before it is answered.
func (b *bench) asynqSynced(ctx context.Context) (o outcome, err error) {
	err = b.redis.synced(ctx, func() error {
		o, err = b.asynqLife(ctx)
		return err
	})
	return o, err
}

// kind is one kind of load.
type kind struct {
	name string
	run  func(context.Context) (outcome, error)
}

// interleave runs each kind of load that was asked for in turn, again and
// again, and returns the medians of their rates.
func (b *bench) interleave(ctx context.Context, kinds []kind) (map[string]float64, error) {
	rates := map[string][]float64{}
	for run := range b.runs {
		for _, k := range kinds {
			if strings.HasPrefix(k.name, "asynq") && b.redis == nil || b.kinds != nil && !slices.Contains(b.kinds, k.name) {
				continue
			}
			o, err := k.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.name, err)
			}
			rates[k.name] = append(rates[k.name], o.rate())
			b.say("run %d of %d: %-12s %s%s", run+1, b.runs, k.name, rate(o.rate(), "jobs"), details(o))
		}
	}
	medians := map[string]float64{}
	for name, all := range rates {
		medians[name] = median(all)
	}
	return medians, nil
}

// details tells what a run took, for a person who looks for the bottleneck.
func details(o outcome) string {
	text := ""
	if o.server > 0 {
		text = fmt.Sprintf(" (processor time per job: server %s, load %s; all pushed after %s",
			micros(o.server, o.Jobs), micros(o.load, o.Jobs), millis(o.Pushed))
		if o.Polls > 0 {
			text += fmt.Sprintf("; %d jobs per poll", o.Jobs/o.Polls)
		}
		text += ")"
	}
	return text
}

func micros(d time.Duration, jobs int) string {
	return fmt.Sprintf("%d µs", d.Microseconds()/int64(max(jobs, 1)))
}

func times(v, of float64) string {
	if of <= 0 {
		return ""
	}
	return fmt.Sprintf("%.2f×", v/of)
}
