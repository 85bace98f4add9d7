package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/store/mysql"
)

// production measures Skadi on MariaDB and Redis, with one node and with two.
type production struct {
	*bench
	maria *mariaDB
	pg    *postgres // nil: there is no river to compare with
}

func (b *bench) production(ctx context.Context) (err error) {
	if b.redis == nil {
		b.table.note("Production was not measured: it needs Redis, and %s", errNoRedis)
		return nil
	}
	return b.scratch(func(dir string) error {
		m, err := startMariaDB(ctx, dir)
		if errors.Is(err, errNoMariaDB) {
			b.table.note("Production was not measured: %s", err)
			return nil
		}
		if err != nil {
			return err
		}
		p := &production{bench: b, maria: m}
		return errors.Join(p.all(ctx), m.stop())
	})
}

func (p *production) all(ctx context.Context) (err error) {
	p.table.note("Production: MariaDB %s with innodb_flush_log_at_trx_commit=1, and the Redis that asynq has too; both, the nodes and the load share this machine.", p.maria.version(ctx))
	switch pg, err := startPostgres(ctx, filepath.Dir(p.dir)); {
	case errors.Is(err, errNoPostgres):
		p.table.note("river was not run: %s", err)
	case err != nil:
		return err
	default:
		p.pg = pg
		defer func() { err = errors.Join(err, pg.stop()) }()
		p.table.note("river: PostgreSQL %s, fsync on, 50 producers and 100 workers in one process, FetchCooldown 1 ms (its own tenth of a second makes ten times the workers its most per second). A run ends when the last job is completed.", pg.version(ctx))
	}
	parts := []func(context.Context) error{p.life, p.latency, p.fleet, p.history}
	if p.kinds != nil {
		parts = parts[:1] // the others have no kinds
	}
	for _, part := range parts {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// life is the whole life of jobs on one node.
func (p *production) life(ctx context.Context) error {
	var spent []usage
	kinds := []kind{
		{"asynq", p.asynqLife},
		{"mysql", func(ctx context.Context) (outcome, error) {
			o, u, err := p.run(ctx, fleetLoad{nodes: 1, loads: 1, jobs: p.jobs})
			spent = append(spent, u)
			return o, err
		}},
		{"asynq-fsync", p.asynqSynced},
	}
	if p.pg != nil {
		tuned := riverLoad{Jobs: p.jobs, Producers: 50, Workers: 100, Batch: 1, Cooldown: time.Millisecond}
		many := tuned
		many.Batch = 100
		kinds = append(kinds,
			kind{"river", func(ctx context.Context) (outcome, error) { return p.riverRun(ctx, p.pg, tuned) }},
			kind{"river-many", func(ctx context.Context) (outcome, error) { return p.riverRun(ctx, p.pg, many) }})
	}
	rates, err := p.interleave(ctx, kinds)
	if err != nil {
		return err
	}
	p.table.heading(fmt.Sprintf("production, whole life over HTTP, median of %d interleaved runs of %s jobs", p.runs, thousands(int64(p.jobs))))
	ours := rates["mysql"]
	if ours == 0 {
		return nil
	}
	p.table.add(row{what: "MariaDB and Redis, one node", asked: "1.5× passes, 2.5× is the goal"}.against(ours, "asynq", rates["asynq"], 1.5, 2.5))
	p.table.add(row{what: "beside asynq that syncs each write too"}.against(ours, "asynq", rates["asynq-fsync"], 0, 0))
	p.table.add(row{what: "beside river, one Insert per job", asked: "3× passes, 5× is the goal"}.against(ours, "river", rates["river"], 3, 5))
	p.table.add(row{what: "beside river, InsertManyFast of 100"}.against(ours, "river", rates["river-many"], 0, 0))
	p.spent("one node", spent)
	return nil
}

// latency is how long a job takes to its handler at a rate that leaves room.
func (p *production) latency(ctx context.Context) error {
	jobs, runs := 10*latencyRate, 3
	if p.short {
		jobs, runs = 2*latencyRate, 1
	}
	same, other, err := p.delays(ctx, runs, fleetLoad{loads: 1, jobs: jobs, rate: latencyRate})
	if err != nil {
		return err
	}
	p.table.heading(fmt.Sprintf("production, latency at %d jobs/s, accepted → handler starts, p50 / p99, median of %d runs of %s jobs", latencyRate, runs, thousands(int64(jobs))))
	p.table.add(row{
		what: "push and agent at the same node", value: same.String(), asked: "below 4 / 15 ms",
		met: judge(same.P50 < 4*time.Millisecond && same.P99 < 15*time.Millisecond),
	})
	p.table.add(row{
		what: "push at one node, agent waiting at another", value: other.String(), asked: "within 10 ms",
		met: judge(other.P99 < 10*time.Millisecond),
	})
	return nil
}

// delays returns the medians with an agent at the same node, and at another.
func (p *production) delays(ctx context.Context, runs int, l fleetLoad) (same, other spread, err error) {
	var sames, others []spread
	for run := range runs {
		l.nodes = 1
		o, _, err := p.run(ctx, l)
		if err != nil {
			return same, other, err
		}
		l.nodes = 2
		crossed, _, err := p.run(ctx, l)
		if err != nil {
			return same, other, err
		}
		p.say("run %d of %d: accepted → started: %s at the same node, %s at another", run+1, runs, o.FromAccepted, crossed.FromAccepted)
		sames, others = append(sames, o.FromAccepted), append(others, crossed.FromAccepted)
	}
	return medianSpread(sames), medianSpread(others), nil
}

// fleet is two nodes beside one, under the same two loads. With two nodes,
// each load pushes at one and its agent polls the other.
func (p *production) fleet(ctx context.Context) error {
	runs := min(p.runs, 3)
	rates := map[int][]float64{}
	spent := map[int][]usage{}
	for run := range runs {
		for nodes := 1; nodes <= 2; nodes++ {
			o, u, err := p.run(ctx, fleetLoad{nodes: nodes, loads: 2, jobs: p.jobs})
			if err != nil {
				return fmt.Errorf("%d nodes: %w", nodes, err)
			}
			rates[nodes], spent[nodes] = append(rates[nodes], o.rate()), append(spent[nodes], u)
			p.say("run %d of %d: %d nodes: %s (%s)", run+1, runs, nodes, rate(o.rate(), "jobs"), u)
		}
	}
	one, two := median(rates[1]), median(rates[2])
	p.table.heading(fmt.Sprintf("production, two agents on one node and on two, median of %d interleaved runs of %s jobs", runs, thousands(int64(p.jobs))))
	p.table.add(row{
		what: "two nodes, agents at the other one", value: rate(two, "jobs"), beside: "one node " + rate(one, "jobs"),
		ratio: times(two, one), asked: "no slower (above 0.95×)", met: judge(two > 0.95*one),
	})
	p.spent("one node", spent[1])
	p.spent("two nodes", spent[2])
	return nil
}

// spent shows what processors did during a load, and which process did most.
func (p *production) spent(what string, all []usage) {
	u := medianUsage(all)
	p.table.add(row{what: what + ", processors busy (of " + fmt.Sprint(runtime.NumCPU()) + ")", value: u.String(), beside: "most: " + u.most()})
	p.table.add(row{what: what + ", processor time per job", value: u.perJob()})
}

// history is what a database full of finished jobs costs.
func (p *production) history(ctx context.Context) error {
	jobs, agents, runs := 1_000_000, 1_000, 3
	if p.short {
		jobs, agents, runs = 20_000, 100, 1
	}
	name, err := p.maria.database(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := p.fill(ctx, name, jobs, agents); err != nil {
		return fmt.Errorf("filling the database: %w", err)
	}
	p.say("%s finished jobs of %d agents took %s to make", thousands(int64(jobs)), agents, time.Since(begin).Round(time.Second))
	var fulls, empties []float64
	for run := range runs {
		o, _, err := p.run(ctx, fleetLoad{nodes: 1, loads: 1, jobs: p.jobs})
		if err != nil {
			return err
		}
		empties = append(empties, o.rate())
		if o, _, err = p.run(ctx, fleetLoad{nodes: 1, loads: 1, jobs: p.jobs, database: name, suffix: fmt.Sprint(run)}); err != nil {
			return err
		}
		fulls = append(fulls, o.rate())
		p.say("run %d of %d: empty %s, full %s", run+1, runs, rate(empties[run], "jobs"), rate(fulls[run], "jobs"))
	}
	full, empty := median(fulls), median(empties)
	p.table.heading(fmt.Sprintf("production, with %s finished jobs and %s agents in the database, median of %d interleaved runs", thousands(int64(jobs)), thousands(int64(agents)), runs))
	p.table.add(row{
		what: "whole life", value: rate(full, "jobs"), beside: "empty " + rate(empty, "jobs"),
		ratio: times(full, empty), asked: "above 0.80×", met: judge(full > 0.8*empty),
	})
	return p.maria.drop(ctx, name)
}

// fill is fill on MariaDB, by two at a time.
func (p *production) fill(ctx context.Context, database string, jobs, agents int) (err error) {
	db, err := mysql.Open(ctx, mysql.Config{DSN: chat.Secret(p.maria.dsn(database)), Migrate: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	const at = 2
	var all sync.WaitGroup
	errs := make([]error, at)
	for i := range at {
		all.Go(func() { errs[i] = fillStore(ctx, db, fmt.Sprintf("old%d", i), jobs/at, agents/at) })
	}
	all.Wait()
	return errors.Join(append(errs, publish(ctx, db))...)
}

// fleetLoad is a load on nodes that share a database and a Redis.
type fleetLoad struct {
	nodes, loads int
	jobs, rate   int
	// database has something in it; empty: a new one. suffix keeps the agents
	// of one run on it apart from those of another.
	database, suffix string
}

// run starts the nodes, puts the loads on them, and returns what came of all
// loads together.
func (p *production) run(ctx context.Context, l fleetLoad) (o outcome, u usage, err error) {
	if err := p.redis.empty(ctx); err != nil {
		return o, u, err
	}
	if l.database == "" {
		if l.database, err = p.maria.database(ctx); err != nil {
			return o, u, err
		}
		defer func() { err = errors.Join(err, p.maria.drop(ctx, l.database)) }()
	}
	err = p.scratch(func(dir string) (err error) {
		var nodes []*served
		defer func() {
			for _, n := range nodes {
				err = errors.Join(err, n.stop())
			}
		}()
		for i := range max(l.nodes, l.loads) {
			at := filepath.Join(dir, fmt.Sprint(i))
			if err := os.Mkdir(at, 0o700); err != nil {
				return err
			}
			backing := p.maria.backing(l.database) + "\n" + p.redis.backing()
			agent := strings.TrimSuffix(fmt.Sprintf("%s-%d-%s", benchAgent, i, l.suffix), "-")
			if i < l.nodes {
				n, err := serveOn(ctx, p.programs, at, backing, agent)
				if err != nil {
					return err
				}
				nodes = append(nodes, n)
				continue
			}
			// One more agent on the last node.
			token, err := nodes[0].agent(ctx, agent)
			if err != nil {
				return err
			}
			nodes = append(nodes, &served{node: nodes[0].node, agentName: agent, agentToken: token})
		}
		var loadErr error
		o, u, loadErr = p.drive(ctx, l, nodes, dir)
		nodes = nodes[:l.nodes]
		if loadErr != nil {
			for _, n := range nodes {
				loadErr = fmt.Errorf("%w\nthe node at %s said at last:\n%s", loadErr, n.addr, n.log)
			}
		}
		return loadErr
	})
	return o, u, err
}

// drive puts the loads on the nodes and watches the processors meanwhile.
func (p *production) drive(ctx context.Context, l fleetLoad, at []*served, dir string) (o outcome, u usage, err error) {
	watched := map[string][]*process{"mariadbd": {p.maria.process}, "redis": {p.redis.process}}
	for _, n := range at[:l.nodes] {
		watched["skadi"] = append(watched["skadi"], n.process)
	}
	counted, err := p.maria.counters(ctx)
	if err != nil {
		return o, u, err
	}
	before := usedBy(watched)
	begin := time.Now()
	outcomes := make([]outcome, l.loads)
	errs := make([]error, l.loads)
	var all sync.WaitGroup
	for i := range l.loads {
		spec := at[i].load(l.jobs/l.loads, l.rate, false, dir)
		spec.Conns /= l.loads
		if l.nodes > 1 {
			spec.AgentAddr = at[(i+1)%l.nodes].addr
		}
		all.Go(func() { outcomes[i].load, errs[i] = ask(ctx, "load", spec, &outcomes[i]) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return o, u, err
	}
	u = usageOf(before, usedBy(watched), time.Since(begin))
	after, err := p.maria.counters(ctx)
	if err != nil {
		return o, u, err
	}
	p.say("the database, per job: %s", after.per(l.jobs, counted))
	o = outcomes[0]
	for _, one := range outcomes[1:] {
		o.Jobs += one.Jobs
		o.Polls += one.Polls
		o.Elapsed, o.Pushed = max(o.Elapsed, one.Elapsed), max(o.Pushed, one.Pushed)
		o.load += one.load
	}
	u.add("load", o.load)
	u.jobs = o.Jobs
	o.server = u.of("skadi")
	return o, u, nil
}
