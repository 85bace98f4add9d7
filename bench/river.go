package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// riverLoad is one run of river: producers and workers in one process, as
// Skadi's pushes and agent share one.
type riverLoad struct {
	DSN       string `json:"dsn"`
	Jobs      int    `json:"jobs"`
	Producers int    `json:"producers"`
	Workers   int    `json:"workers"`
	// Batch is how many jobs are inserted with one InsertManyFast; 1 is one
	// Insert each.
	Batch int `json:"batch"`
	// Cooldown is river's FetchCooldown; 0 leaves its own tenth of a second.
	Cooldown time.Duration `json:"cooldown"`
}

type riverArgs struct {
	Number int `json:"number"`
}

func (riverArgs) Kind() string { return "bench" }

type riverWorker struct {
	river.WorkerDefaults[riverArgs]
	book *book
}

func (w *riverWorker) Work(_ context.Context, j *river.Job[riverArgs]) error {
	w.book.start(j.Args.Number)
	return nil
}

// playRiver is the role that runs a riverLoad.
func playRiver(spec []byte, answer func(any) error, _ <-chan struct{}) error {
	var l riverLoad
	if err := json.Unmarshal(spec, &l); err != nil {
		return err
	}
	o, err := l.run(context.Background())
	if err != nil {
		return err
	}
	return answer(o)
}

func (l riverLoad) run(ctx context.Context) (o outcome, err error) {
	cfg, err := pgxpool.ParseConfig(l.DSN)
	if err != nil {
		return o, err
	}
	cfg.MaxConns = int32(l.Producers + 10) //nolint:gosec // some tens
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return o, err
	}
	defer pool.Close()
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return o, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return o, fmt.Errorf("making river's tables: %w", err)
	}

	b := newBook(l.Jobs)
	workers := river.NewWorkers()
	river.AddWorker(workers, &riverWorker{book: b})
	client, err := river.NewClient(driver, &river.Config{
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: l.Workers}},
		Workers:       workers,
		FetchCooldown: l.Cooldown,
		Logger:        slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return o, err
	}
	if err := client.Start(ctx); err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, client.Stop(context.WithoutCancel(ctx))) }()

	warm := min(warmUp, l.Jobs)
	if err := pushAll(ctx, warm, l.Producers, 0, func(_, _ int) error { return l.insert(ctx, client, -1, 0) }); err != nil {
		return o, err
	}
	if err := riverDone(ctx, pool); err != nil {
		return o, err
	}
	b.begin = time.Now()
	err = pushAll(ctx, (l.Jobs+l.Batch-1)/l.Batch, l.Producers, 0, func(_, i int) error {
		from, to := i*l.Batch, min((i+1)*l.Batch, l.Jobs)
		for k := from; k < to; k++ {
			b.sent[k].Store(b.now())
		}
		err := l.insert(ctx, client, from, to)
		for k := from; k < to; k++ {
			b.accepted[k].Store(b.now())
		}
		return err
	})
	o = outcome{Jobs: l.Jobs, Pushed: time.Since(b.begin)}
	if err != nil {
		return o, err
	}
	if err := riverDone(ctx, pool); err != nil {
		return o, err
	}
	o.Elapsed = time.Since(b.begin)
	o.FromSent, o.FromAccepted = b.delays()
	return o, b.check()
}

// insert inserts the jobs from one number up to another; -1 is one of the
// warm-up.
func (l riverLoad) insert(ctx context.Context, client *river.Client[pgx.Tx], from, to int) error {
	if from < 0 || l.Batch == 1 {
		_, err := client.Insert(ctx, riverArgs{Number: from}, nil)
		return err
	}
	params := make([]river.InsertManyParams, 0, to-from)
	for i := from; i < to; i++ {
		params = append(params, river.InsertManyParams{Args: riverArgs{Number: i}})
	}
	_, err := client.InsertManyFast(ctx, params)
	return err
}

// riverDone waits until the database has every job as completed.
func riverDone(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("river did not finish within 5 minutes"))
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var open bool
		err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM river_job WHERE state IN ('available', 'running', 'retryable', 'scheduled', 'pending'))`).Scan(&open)
		if err != nil {
			return fmt.Errorf("asking PostgreSQL for open jobs: %w", err)
		}
		if !open {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// riverRun is one load on a new database.
func (b *bench) riverRun(ctx context.Context, p *postgres, l riverLoad) (o outcome, err error) {
	name, err := p.database(ctx)
	if err != nil {
		return o, err
	}
	l.DSN = p.dsn(name)
	o.load, err = ask(ctx, "river", l, &o)
	return o, errors.Join(err, p.drop(ctx, name))
}
