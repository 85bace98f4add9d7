package cli

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/channels"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/httpapi"
	"github.com/letserverrun/skadi/core/intake"
	"github.com/letserverrun/skadi/core/job"
	nodes "github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/telemetry"
)

const (
	// tellGrace is how long a node that stops goes on telling what happened.
	// What is not told by then is told after the next start.
	tellGrace   = 5 * time.Second
	settleEvery = 20 * time.Millisecond
	// outgoingTimeout bounds an adapter's call to its channel.
	outgoingTimeout = 30 * time.Second
)

// node is one Skadi server: everything between the database and the
// listener. `serve` and `up` differ in what they add to it.
//
// Its parts stop in the order in which work flows through them: first nothing
// new comes in (accounts and the listener, which the caller runs), then what
// happened is told, then the database is closed.
type node struct {
	cfg *config.Config
	log *slog.Logger

	base      *base
	queue     *carrier
	registry  *nodes.Registry
	jobs      *job.Service
	policy    atomic.Pointer[access.Policy]
	owners    []string
	tokens    *access.Tokens
	auditor   *access.Auditor
	accounts  *events.Accounts
	relay     *events.Relay
	replier   *events.Replier
	metrics   *telemetry.Metrics
	traces    *telemetry.Tracer // nil: there are none
	intake    *intake.Intake
	adapters  map[string]chat.Factory // set with the first accounts
	mounts    mounts
	reloads   sync.Mutex // held while the config is read again
	places    *channels.Book
	callbacks *callbacks

	stopParts context.CancelFunc
	parts     sync.WaitGroup
}

// newNode opens the database and the queue, and assembles the node that
// listens at addr. Owners may do everything, whatever the access rules say.
// Close it when done.
func newNode(ctx context.Context, cfg *config.Config, addr string, log *slog.Logger, owners ...string) (*node, error) {
	policy, err := access.New(cfg.Access, owners...)
	if err != nil {
		return nil, err
	}
	self, err := nodes.Self(addr, currentVersion().Version, time.Now())
	if err != nil {
		return nil, err
	}
	if cfg.Node.Name != "" {
		self.Host = cfg.Node.Name
	}
	outgoing, err := newCalls(cfg)
	if err != nil {
		return nil, err
	}
	b, err := placeOf(cfg).open(ctx, log)
	if err != nil {
		return nil, err
	}
	b.warnShared(ctx, log)
	q, err := openQueue(ctx, cfg.Queue, b.partitions, self.ID, log)
	if err != nil {
		return nil, joined(err, b.Close)
	}
	n := &node{
		cfg: cfg, log: log, base: b, queue: q, owners: owners,
		registry:  nodes.NewRegistry(nodes.RegistryConfig{Store: b, Self: self, Lease: b.leases(self.ID), Show: b.show(self.ID), Logger: log}),
		tokens:    access.NewTokens(b, time.Now),
		auditor:   access.NewAuditor(b, time.Now).WithLogger(log),
		accounts:  events.NewAccounts(time.Now, log),
		metrics:   telemetry.NewMetrics(time.Now),
		callbacks: &callbacks{},
	}
	n.policy.Store(policy)
	n.callbacks.set(outgoing)
	if n.traces, err = openTraces(ctx, cfg.Tracing, self.ID, log); err != nil {
		return nil, errors.Join(err, q.Close(), b.Close())
	}
	observer := telemetry.Both{Metrics: n.metrics, Traces: n.traces}
	n.places = channels.New(cfg.Channels, cfg.Alerts, n.accounts)
	n.jobs = job.New(job.Config{
		Store: b, Waker: q.waker, Shared: b.shared || q.ping != nil, Lease: n.registry.Leaser(),
		Times: cfg.JobTimes(), Limits: cfg.JobLimits(),
		Retention: cfg.Retention.Jobs, Alerts: n.places, Clock: time.Now, Logger: log, Observer: observer,
	})
	n.relay = events.NewRelay(events.RelayConfig{
		Outbox: b, Queue: q, Waker: q.waker, Partitions: b.partitions, Lease: n.registry.Leaser(), Logger: log,
	})
	n.replier = events.NewReplier(events.ReplierConfig{
		Store: b, Jobs: n.jobs, Senders: senders{n.accounts, n.callbacks}, Queue: q, QueueUp: n.queueUp,
		Partitions: b.partitions, Lease: n.registry.Leaser(), Shared: b.shared, Rank: n.registry.Rank, Node: self.ID,
		Local: localAccounts(cfg), Clock: time.Now, Logger: log, Observer: observer,
	})
	n.intake = intake.New(intake.Config{
		Jobs: n.jobs, Policy: n.currentPolicy, Auditor: n.auditor, Defaults: b,
		Places: n.places, Callback: n.callbacks.check, Clock: time.Now, Logger: log,
	})
	return n, nil
}

// queueUp tells the replier whether the queue brings what happens: with one
// queue for all nodes as long as it is there, whoever relays; else only while
// this node relays into its own.
func (n *node) queueUp(ctx context.Context) error {
	if n.queue.ping != nil {
		return n.queue.ping(ctx)
	}
	return n.relay.Up(ctx)
}

// localAccounts names the accounts that each process has for itself: the
// terminal of `up`, unless the config calls something else so.
func localAccounts(cfg *config.Config) []string {
	for _, a := range cfg.Adapters {
		if a.Name == terminalAccount {
			return nil
		}
	}
	return []string{terminalAccount}
}

func (n *node) currentPolicy() *access.Policy { return n.policy.Load() }

// addAccounts makes the adapters of the config, each by the factory of its
// kind. One whose block is wrong is an error; one that does not work later only
// turns its account unhealthy.
func (n *node) addAccounts(adapters map[string]chat.Factory) error {
	n.adapters = adapters
	all, err := n.makeAccounts(n.cfg, nil)
	if err == nil {
		err = made{}.with(all).fits(n.cfg)
	}
	if err != nil {
		return err
	}
	for _, a := range all {
		if err := n.add(a); err != nil {
			return err
		}
	}
	return nil
}

// makeAccounts makes the adapters of a config, or of those of its accounts
// that are named. It makes all or none, and starts nothing.
func (n *node) makeAccounts(cfg *config.Config, only []string) (made []events.Account, err error) {
	if err := cfg.CheckKinds(slices.Sorted(maps.Keys(n.adapters))); err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range cfg.Adapters {
		if only != nil && !slices.Contains(only, a.Name) {
			continue
		}
		env, line := n.env(cfg, a.Name), new(events.Line)
		env.Reported = line.Report
		adapter, err := n.adapters[a.Kind](a.Decode, env)
		errs = append(errs, a.Place(err))
		made = append(made, events.Account{Name: a.Name, Kind: a.Kind, Adapter: adapter, Line: line})
	}
	return made, errors.Join(errs...)
}

func (n *node) addAccount(name, kind string, adapter chat.Adapter) error {
	return n.add(events.Account{Name: name, Kind: kind, Adapter: adapter})
}

func (n *node) add(a events.Account) error {
	n.mounts.put(a.Name, a.Adapter)
	return n.accounts.Add(a)
}

// env is what the adapter of an account gets.
func (n *node) env(cfg *config.Config, account string) chat.Env {
	return chat.Env{
		Account: account,
		Inbox:   n.metrics.Inbox(account, n.intake.Inbox(job.DefaultSpace, account)),
		Logger:  n.log.With("account", account),
		Clock:   time.Now,
		HTTP:    &http.Client{Timeout: outgoingTimeout},
		KV:      n.base.KV("adapter/" + account + "/"),
		Lease:   nodes.OwnLeases(n.base.Leaser(n.registry.Self().ID+"/"+account), "adapter/"+account+"/"),
		Viewer:  n.intake.Viewer(job.DefaultSpace, account),
		URL:     mountURL(cfg, account),

		Undelivered: events.Undelivered(job.DefaultSpace, n.base.Undelivered),
		Unmatched:   n.metrics.Unmatched(account),
		Panicked:    n.metrics.Panicked(account),
	}
}

// mountURL is where the far side calls an account, if the config says where the
// server is reached.
func mountURL(cfg *config.Config, account string) string {
	if cfg.PublicURL == "" {
		return ""
	}
	return strings.TrimSuffix(cfg.PublicURL, "/") + httpapi.MountPath(account)
}

// api is the HTTP API. Its metrics may be served elsewhere, and without reload
// it reads no config again.
func (n *node) api(metricsElsewhere bool, reload func(context.Context) (agentapi.Reloaded, error)) *httpapi.API {
	api := httpapi.New(httpapi.Config{
		Jobs: n.jobs, Policy: n.currentPolicy, Tokens: n.tokens, Auditor: n.auditor,
		Queue: n.queue, Nodes: n.registry, Accounts: n.accounts, Clock: time.Now, Logger: n.log,
		Callback: n.callbacks.check, Channels: n.places,
		BodyBytes: int64(n.cfg.Limits.Body), TrustedProxies: n.cfg.TrustedProxies, Mount: n.mounts.get, Reload: reload,
		Ready:       httpapi.Checks(n.checks()),
		Traceparent: n.traces.Traceparent, Arrived: telemetry.Arrived,
		MetricsElsewhere: metricsElsewhere,
	})
	api.Registry().MustRegister(n.metrics, telemetry.Backlog{State: telemetry.State{
		Open: n.base.Backlog, Jobs: n.jobs.Counts, Polls: n.jobs.Polls, Writes: n.base.writes,
	}})
	if c, ok := n.queue.eventQueue.(prometheus.Collector); ok {
		api.Registry().MustRegister(c)
	}
	return api
}

// start sets the parts going that move jobs and tell what happens to them.
func (n *node) start() {
	ctx, cancel := context.WithCancel(context.Background())
	n.stopParts = cancel
	for name, run := range map[string]func(context.Context) error{
		"jobs": n.jobs.Run, "relay": n.relay.Run, "replier": n.replier.Run, "registry": n.registry.Run,
	} {
		n.parts.Go(func() {
			if err := run(ctx); err != nil {
				n.log.Error("a part of the server ended", "part", name, "err", err)
			}
		})
	}
}

// close tells what is still open, for a little while, and then stops the
// parts and closes the database. When hurry ends nothing more is told.
func (n *node) close(hurry context.Context) error {
	if n.stopParts != nil {
		ctx, cancel := context.WithTimeout(hurry, tellGrace)
		n.settle(ctx)
		cancel()
		n.stopParts()
		n.parts.Wait()
	}
	n.closeTraces(hurry)
	n.callbacks.set(nil)
	return errors.Join(n.queue.Close(), n.base.Close())
}

// settle waits until everything is told that this node can tell now, or ctx
// ends. Conversations that are parked after a failure are not waited for.
func (n *node) settle(ctx context.Context) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		pending, err := n.replier.Pending(ctx)
		if err != nil || !pending {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
