package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

// history measures what a database full of finished jobs costs.
func (b *bench) history(ctx context.Context) error {
	jobs, agents, runs := 1_000_000, 1_000, 3
	if b.short {
		jobs, agents, runs = 20_000, 100, 1
	}
	return b.scratch(func(dir string) error {
		begin := time.Now()
		path := filepath.Join(dir, databaseName)
		if err := fill(ctx, path, jobs, agents); err != nil {
			return fmt.Errorf("filling the database: %w", err)
		}
		b.say("%s finished jobs of %d agents took %s to make", thousands(int64(jobs)), agents, time.Since(begin).Round(time.Second))
		pass, err := sweeperPass(ctx, path)
		if err != nil {
			return fmt.Errorf("the sweeper: %w", err)
		}
		full, empty, err := b.fullAndEmpty(ctx, dir, runs)
		if err != nil {
			return err
		}
		b.table.heading(fmt.Sprintf("with %s finished jobs and %s agents in the database", thousands(int64(jobs)), thousands(int64(agents))))
		b.table.add(row{
			what: "plain polls, whole life", value: rate(full, "jobs"), beside: "empty " + rate(empty, "jobs"),
			ratio: times(full, empty), asked: "above 0.80×", met: judge(full > 0.8*empty),
		})
		b.table.add(row{
			what: "a pass of the sweeper, p50 / worst", value: pass.String(), asked: "below 50 ms",
			met: judge(pass.P99 < 50*time.Millisecond),
		})
		return nil
	})
}

// fullAndEmpty returns the median rates on the database in dir and on new
// ones, in turns.
func (b *bench) fullAndEmpty(ctx context.Context, dir string, runs int) (full, empty float64, err error) {
	s, err := serveNew(ctx, b.programs, dir)
	if err != nil {
		return 0, 0, err
	}
	if err := s.stop(); err != nil {
		return 0, 0, err
	}
	var fulls, empties []float64
	for run := range runs {
		o, err := b.skadiRun(ctx, b.jobs, 0, false)
		if err != nil {
			return 0, 0, err
		}
		empties = append(empties, o.rate())
		if err := s.serve(ctx); err != nil {
			return 0, 0, err
		}
		_, err = ask(ctx, "load", s.load(b.jobs, 0, false, dir), &o)
		if err = errors.Join(err, s.stop()); err != nil {
			return 0, 0, err
		}
		fulls = append(fulls, o.rate())
		b.say("run %d of %d: empty %s, full %s", run+1, runs, rate(empties[run], "jobs"), rate(fulls[run], "jobs"))
	}
	return median(fulls), median(empties), nil
}

// fill lets jobs live their whole life in the database, a thousand at a time,
// as the server would.
func fill(ctx context.Context, path string, jobs, agents int) (err error) {
	db, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	return errors.Join(fillStore(ctx, db, "old", jobs, agents), db.Close())
}

// fillStore is fill for a database that is open. The agents' names begin with
// prefix.
func fillStore(ctx context.Context, db store.Store, prefix string, jobs, agents int) error {
	service := job.New(job.Config{Store: db, Waker: queue.NewWaker()})
	const batch = 1000
	for i := range agents {
		a, err := service.CreateAgent(ctx, job.DefaultSpace, fmt.Sprintf("%s-%d", prefix, i))
		if err != nil {
			return err
		}
		share := jobs / agents
		for share > 0 {
			n := min(share, batch)
			if err := live(ctx, service, a, n); err != nil {
				return err
			}
			share -= n
		}
		if err := publish(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

// live takes n jobs from their creation to their success.
func live(ctx context.Context, service *job.Service, a job.Agent, n int) error {
	caller := job.Caller{Space: a.Space, AgentID: a.ID, Agent: a.Name}
	if err := service.CheckIn(ctx, caller); err != nil {
		return err
	}
	entries := make([]job.Entry, n)
	for i := range entries {
		entries[i].Draft = draft(a, i)
	}
	created, err := service.Create(ctx, entries)
	if err != nil {
		return err
	}
	for _, c := range created {
		if c.Err != nil {
			return c.Err
		}
	}
	work, err := service.Poll(ctx, caller, job.PollRequest{Max: n})
	if err != nil {
		return err
	}
	if len(work.Jobs) != n {
		return fmt.Errorf("a poll brought %d of %d jobs", len(work.Jobs), n)
	}
	output := "ok"
	reports := make([]job.Report, n)
	for i, j := range work.Jobs {
		reports[i] = job.Report{ID: j.ID, Lease: j.Lease, Status: job.Succeeded, Output: &output}
	}
	done, err := service.Report(ctx, caller, reports)
	if err != nil {
		return err
	}
	for _, d := range done {
		if d.Err != nil {
			return d.Err
		}
	}
	return nil
}

// publish empties the outbox as the relay does.
func publish(ctx context.Context, db events.Outbox) error {
	for {
		events, err := db.Unpublished(ctx, 2000)
		if err != nil || len(events) == 0 {
			return err
		}
		if err := db.MarkPublished(ctx, events); err != nil {
			return err
		}
	}
}

// sweeperPass measures passes on a clock that is past the hold after a start,
// while every agent has a job waiting. P99 is the worst one.
func sweeperPass(ctx context.Context, path string) (pass spread, err error) {
	at := time.Now()
	clock := func() time.Time { return at }
	db, err := sqlite.Open(ctx, sqlite.Config{Path: path, Clock: clock})
	if err != nil {
		return pass, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	begin := at
	service := job.New(job.Config{
		Store: db, Waker: queue.NewWaker(), Clock: clock,
		Monotonic: func() time.Duration { return at.Sub(begin) },
	})
	var took []time.Duration
	sweep := func(passes int) error {
		for range passes {
			at = at.Add(time.Second)
			start := time.Now()
			if err := service.Sweep(ctx); err != nil {
				return err
			}
			took = append(took, time.Since(start))
		}
		return nil
	}
	if err := sweep(int(service.Times().Offline/time.Second) + 1); err != nil {
		return pass, err
	}
	waiting, err := oneEach(ctx, service)
	if err != nil {
		return pass, err
	}
	took = nil
	if err := sweep(50); err != nil {
		return pass, err
	}
	for _, j := range waiting {
		if _, err := service.Cancel(ctx, j.Space, j.ID, "bench"); err != nil {
			return pass, err
		}
	}
	return spread{P50: median(took), P99: slices.Max(took)}, publish(ctx, db)
}

// oneEach checks every agent in and makes a job for it.
func oneEach(ctx context.Context, service *job.Service) ([]job.Job, error) {
	agents, err := service.Agents(ctx, job.DefaultSpace)
	if err != nil {
		return nil, err
	}
	jobs := make([]job.Job, len(agents))
	for i, a := range agents {
		if err := service.CheckIn(ctx, job.Caller{Space: a.Space, AgentID: a.ID, Agent: a.Name}); err != nil {
			return nil, err
		}
		created, err := service.Create(ctx, []job.Entry{{Draft: draft(a, i)}})
		if err == nil {
			err = created[0].Err
		}
		if err != nil {
			return nil, err
		}
		jobs[i] = created[0].Job
	}
	return jobs, nil
}

func draft(a job.Agent, i int) *job.Draft {
	return &job.Draft{
		Space: a.Space, Agent: a.Name, Message: fmt.Sprintf("job %d", i),
		Sender: chat.Sender{Account: "token", User: "bench"},
	}
}
