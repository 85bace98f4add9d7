// Command bench measures Skadi's speed and prints it as one table, beside what
// hibiken/asynq does with Redis, and riverqueue/river with PostgreSQL, on the
// same machine in the same run.
//
//	go run .                     everything, some twenty minutes
//	go run . -short              a quick look; its figures are not to be quoted
//	go run . -only life,latency  some parts
//	go run . -only production    MariaDB and Redis, beside asynq and river
//
// It never fails because something is slow. Skadi's programs are built and run
// as processes of their own; jobs are pushed from another process by a small
// HTTP/1.1 client of its own (package wire), since the load shares the
// machine's cores with what is measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

var roles = map[string]role{
	"load":         playLoad,
	"asynq":        playAsynq,
	"river":        playRiver,
	"floor-server": playFloorServer,
	"floor-load":   playFloorLoad,
	"batch":        playBatch,
	"waiters":      playWaiters,
}

var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"life", (*bench).life},
	{"latency", (*bench).latency},
	{"history", (*bench).history},
	{"memory", (*bench).memory},
	{"production", (*bench).production},
}

func main() {
	if name := os.Getenv(roleEnv); name != "" {
		r, ok := roles[name]
		if !ok {
			fatal(fmt.Errorf("there is no role %q", name))
		}
		if err := play(r, os.Stdin, os.Stdout); err != nil {
			fatal(err)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func run(ctx context.Context) (err error) {
	b := &bench{table: &table{}}
	only := flag.String("only", "", "the parts to run, of life, latency, history, memory and production, with commas between them")
	dir := flag.String("dir", os.TempDir(), "where databases are put; it should be a disk and not memory")
	skadi := flag.String("skadi", "", "a skadi binary to measure instead of building one")
	agentd := flag.String("agentd", "", "an agentd binary to measure instead of building one")
	kinds := flag.String("kinds", "", "the loads of the part life, of asynq, plain, asynq+result, floor, confirmed and batch, and of the part production, whose whole life alone is measured then, of asynq, asynq-fsync, river, river-many and mysql, with commas between them")
	flag.IntVar(&b.runs, "runs", 5, "how often the whole life is measured")
	flag.IntVar(&b.jobs, "jobs", 30_000, "the jobs of one run of the whole life")
	flag.BoolVar(&b.short, "short", false, "take a quick look only")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	if *kinds != "" {
		b.kinds = strings.Split(*kinds, ",")
	}
	if b.short {
		b.runs, b.jobs = 1, 5_000
	}
	if b.jobs < 1000 || b.runs < 1 {
		return errors.New("-jobs must be at least 1000 and -runs at least 1")
	}

	begin := time.Now()
	b.say = func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%6.1fs  "+format+"\n", append([]any{time.Since(begin).Seconds()}, args...)...)
	}
	if b.dir, err = os.MkdirTemp(*dir, "skadi-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.programs, err = b.prepare(ctx, *skadi, *agentd); err != nil {
		return err
	}
	if err := b.startRedis(ctx); err != nil {
		return err
	}
	if b.redis != nil {
		defer func() { err = errors.Join(err, b.redis.stop()) }()
	}
	b.notes(ctx)

	for _, p := range parts {
		if !slices.Contains(chosen, p.name) {
			continue
		}
		b.say("%s", p.name)
		if err := p.run(b, ctx); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", p.name, err), b.table.print(os.Stdout))
		}
	}
	return b.table.print(os.Stdout)
}

// choose returns the parts that -only names.
func choose(only string) ([]string, error) {
	var all, chosen []string
	for _, p := range parts {
		all = append(all, p.name)
	}
	if only == "" {
		return all, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("-only: there is no part %q; there are %s", name, strings.Join(all, ", "))
		}
		chosen = append(chosen, name)
	}
	return chosen, nil
}

// prepare returns the programs to measure, built unless they were given.
func (b *bench) prepare(ctx context.Context, skadi, agentd string) (programs, error) {
	if skadi != "" && agentd != "" {
		return programs{skadi: skadi, agentd: agentd}, nil
	}
	b.say("building skadi and agentd")
	p, err := build(ctx, b.dir)
	if skadi != "" {
		p.skadi = skadi
	}
	if agentd != "" {
		p.agentd = agentd
	}
	return p, err
}

// startRedis starts Redis, if there is one.
func (b *bench) startRedis(ctx context.Context) error {
	dir := filepath.Join(b.dir, "redis")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	r, err := startRedis(ctx, dir)
	if errors.Is(err, errNoRedis) {
		b.say("%s: there will be nothing beside Skadi", err)
		b.table.note("asynq was not run: %s", err)
		return nil
	}
	b.redis = r
	return err
}

// notes says under which circumstances the figures hold.
func (b *bench) notes(ctx context.Context) {
	b.table.note("%s/%s, %d processors, %s, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Now().Format(time.DateOnly))
	b.table.note("Skadi: `skadi serve`, embedded SQLite, synchronous=FULL: every accepted job was fsynced. One request per job on 64 keep-alive connections from a second process, which is also the agent and reads the events; its client is hand-written HTTP/1.1. A run ends when the last success was seen on GET /v1/events.")
	if b.redis != nil {
		b.table.note("asynq: Redis %s, appendonly yes, appendfsync everysec (fsynced within a second), retention on, 50 producers and 50 workers in one process. A run ends when Redis has the last task as completed. Tuned means TaskCheckInterval 1 ms.", b.redis.version(ctx))
	}
	if inMemory(b.dir) {
		b.table.note("THE DATABASES WERE IN MEMORY (%s): durable means nothing here. Choose a disk with -dir.", b.dir)
	}
	if b.short {
		b.table.note("This was a short run: its figures are not to be quoted.")
	}
}
