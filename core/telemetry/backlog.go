package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/letserverrun/skadi/core/job"
)

// backlogTimeout bounds what a look at the metrics asks of the database.
const backlogTimeout = 2 * time.Second

// Writes is what a store's writers did since it was opened.
type Writes struct {
	// Commits counts transactions, and Members the writes that they held.
	Commits, Members int64
	// Replays counts transactions that were done again, for whatever reason.
	Replays int64
	// Waiting is how many writes wait now.
	Waiting int
}

// State is where a Backlog looks.
type State struct {
	// Open counts the events that are not told yet, with the age of the oldest.
	Open func(ctx context.Context) (open int64, oldest time.Duration, err error)
	// Jobs counts the jobs that are not final by their status.
	Jobs func(ctx context.Context) (map[job.Status]int64, error)
	// Polls counts the polls that wait at this server.
	Polls func() int
	// Writes tells of the store's writers.
	Writes func() Writes
}

// Backlog is a prometheus.Collector that looks how things stand when it is
// asked. While the database is away it shows what needs no database.
type Backlog struct{ State }

var (
	untoldDesc = prometheus.NewDesc("skadi_untold_events",
		"Events that are still to be told to their conversations, in the whole database.", nil, nil)
	untoldAgeDesc = prometheus.NewDesc("skadi_untold_oldest_seconds",
		"The age of the oldest event that is still to be told, in the whole database.", nil, nil)
	openJobsDesc = prometheus.NewDesc("skadi_open_jobs",
		"Jobs that are not final, by status, in the whole database.", []string{"status"}, nil)
	pollsDesc = prometheus.NewDesc("skadi_waiting_polls",
		"Polls of agents that wait at this server.", nil, nil)
	commitsDesc = prometheus.NewDesc("skadi_store_commits_total",
		"Transactions that this server committed.", nil, nil)
	membersDesc = prometheus.NewDesc("skadi_store_commit_members_total",
		"Writes in those transactions; divided by their number, the size of a group commit.", nil, nil)
	replaysDesc = prometheus.NewDesc("skadi_store_replays_total",
		"Transactions that were done again: after a refusal of one of their writes, a deadlock or a lost connection.", nil, nil)
	waitingDesc = prometheus.NewDesc("skadi_store_waiting_writes",
		"Writes that wait for their transaction.", nil, nil)
)

// Describe implements prometheus.Collector.
func (Backlog) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		untoldDesc, untoldAgeDesc, openJobsDesc, pollsDesc, commitsDesc, membersDesc, replaysDesc, waitingDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (b Backlog) Collect(ch chan<- prometheus.Metric) {
	show := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	w := b.Writes()
	show(pollsDesc, prometheus.GaugeValue, float64(b.Polls()))
	show(commitsDesc, prometheus.CounterValue, float64(w.Commits))
	show(membersDesc, prometheus.CounterValue, float64(w.Members))
	show(replaysDesc, prometheus.CounterValue, float64(w.Replays))
	show(waitingDesc, prometheus.GaugeValue, float64(w.Waiting))

	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
	defer cancel()
	if open, oldest, err := b.Open(ctx); err == nil {
		show(untoldDesc, prometheus.GaugeValue, float64(open))
		show(untoldAgeDesc, prometheus.GaugeValue, oldest.Seconds())
	}
	if counts, err := b.Jobs(ctx); err == nil {
		for _, s := range []job.Status{job.Queuing, job.Sent} {
			show(openJobsDesc, prometheus.GaugeValue, float64(counts[s]), string(s))
		}
	}
}
