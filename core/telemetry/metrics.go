package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// The stages of a job's life, as skadi_job_stage_seconds names them.
const (
	stageSent  = "accepted_to_sent"
	stageFinal = "sent_to_final"
	stageTold  = "final_to_told"
)

// stageBuckets reach from a job that an idle agent takes at once to the hour
// that a job may run.
var stageBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600}

// callBuckets are for calls that people or their channels wait for.
var callBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// reasons are the values of the label reason. An agent may give others, which
// are counted as otherReason.
var reasons = map[job.Reason]bool{
	"": true, job.AgentOffline: true, job.NotTaken: true, job.NoResult: true, job.MaxRun: true,
	job.ApprovalTimeout: true, job.Denied: true, job.AgentRemoved: true, job.Interrupted: true,
}

const otherReason = "other"

// Metrics keeps the figures of one server. Its methods may be called
// concurrently. It is a job.Observer, an events.Observer and a
// prometheus.Collector.
type Metrics struct {
	clock chat.Clock

	jobs       *prometheus.CounterVec
	stages     *prometheus.HistogramVec
	sent       prometheus.Observer
	final      prometheus.Observer
	told       prometheus.Observer
	received   *prometheus.HistogramVec
	sends      *prometheus.HistogramVec
	unmatched  *prometheus.CounterVec
	panics     *prometheus.CounterVec
	givenUp    prometheus.Counter
	sweeps     *prometheus.CounterVec
	sweepTime  prometheus.Histogram
	collectors []prometheus.Collector
}

// NewMetrics returns metrics of nothing yet.
func NewMetrics(clock chat.Clock) *Metrics {
	m := &Metrics{
		clock: clock,
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skadi_jobs_total",
			Help: "Jobs that took an arrow to this status at this server, by the reason; other is a reason of an agent's own.",
		}, []string{"status", "reason"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skadi_job_stage_seconds", Buckets: stageBuckets,
			Help: "How long jobs took from accepted to sent, from sent to final, and from final to told in their conversation.",
		}, []string{"stage"}),
		received: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skadi_message_accept_seconds", Buckets: callBuckets,
			Help: "How long it took until a message was stored and could be acknowledged, by account and whether it was.",
		}, []string{"account", "result"}),
		sends: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skadi_send_seconds", Buckets: callBuckets,
			Help: "How long sending one message took, by account and what came of it: ok, or the class of the error.",
		}, []string{"account", "result"}),
		unmatched: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skadi_webhooks_unmatched_total",
			Help: "Webhook calls whose signature was right and that no rule of the account is for, by account.",
		}, []string{"account"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skadi_account_panics_total",
			Help: "Panics of adapters while they handled a message, by account; each is a bug.",
		}, []string{"account"}),
		givenUp: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "skadi_events_given_up_total",
			Help: "Events that this server could not tell to their conversation; skadi undelivered lists them.",
		}),
		sweeps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skadi_sweeps_total", Help: "Passes of the sweeper, which expires jobs, by whether they succeeded.",
		}, []string{"result"}),
		sweepTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "skadi_sweep_seconds", Help: "How long a pass of the sweeper took.", Buckets: callBuckets,
		}),
	}
	m.sent, m.final, m.told = m.stages.WithLabelValues(stageSent), m.stages.WithLabelValues(stageFinal), m.stages.WithLabelValues(stageTold)
	m.collectors = []prometheus.Collector{m.jobs, m.stages, m.received, m.sends, m.unmatched, m.panics, m.givenUp, m.sweeps, m.sweepTime}
	return m
}

// Moved implements job.Observer.
func (m *Metrics) Moved(_ context.Context, from job.Status, j *job.Job) {
	reason := j.Reason
	if !reasons[reason] {
		reason = otherReason
	}
	if from == "" && j.Status != job.Queuing {
		// It was accepted and expired in one transaction.
		m.jobs.WithLabelValues(string(job.Queuing), "").Inc()
	}
	m.jobs.WithLabelValues(string(j.Status), string(reason)).Inc()
	switch {
	case j.Status == job.Sent:
		m.sent.Observe(seconds(j.SentAt.Sub(j.CreatedAt)))
	case from == job.Sent:
		m.final.Observe(seconds(j.FinishedAt.Sub(j.SentAt)))
	}
}

// Swept implements job.Observer.
func (m *Metrics) Swept(took time.Duration, err error) {
	m.sweeps.WithLabelValues(result(err)).Inc()
	m.sweepTime.Observe(seconds(took))
}

// Sent implements events.Observer.
func (m *Metrics) Sent(account string, took time.Duration, err error) {
	what := "ok"
	if err != nil {
		what = chat.Classify(err).Class.String()
	}
	m.sends.WithLabelValues(account, what).Observe(seconds(took))
}

// Told implements events.Observer.
func (m *Metrics) Told(d events.Delivery) {
	if d.Dead != "" {
		m.givenUp.Add(float64(len(d.Events)))
		return
	}
	now := m.clock()
	for i := range d.Events {
		if e := &d.Events[i]; e.Kind == job.EventJobStatus && e.Status.Final() && e.Conversation != nil {
			m.told.Observe(seconds(now.Sub(e.At)))
		}
	}
}

// Received notes how long it took to store a message of an account.
func (m *Metrics) Received(account string, took time.Duration, err error) {
	m.received.WithLabelValues(account, result(err)).Observe(seconds(took))
}

// Unmatched counts an account's webhook calls that no rule is for. Accounts
// that have no rules show no figure.
func (m *Metrics) Unmatched(account string) func() {
	return func() { m.unmatched.WithLabelValues(account).Inc() }
}

// Panicked counts an account's panics, from 0, so that the first is seen to be
// an increase.
func (m *Metrics) Panicked(account string) func() { return m.panics.WithLabelValues(account).Inc }

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.collectors {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.collectors {
		c.Collect(ch)
	}
}

func result(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "error"
}

// seconds is d, or 0 where two clocks disagree.
func seconds(d time.Duration) float64 { return max(d.Seconds(), 0) }
