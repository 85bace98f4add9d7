package telemetry_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/store/sqlite"
	"github.com/letserverrun/skadi/core/telemetry"
)

// world is a service on a real store that is observed.
type world struct {
	*job.Service
	t      *testing.T
	store  *sqlite.Store
	both   telemetry.Both
	spans  *tracetest.InMemoryExporter
	caller job.Caller

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func setup(t *testing.T, ratio float64) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), spans: tracetest.NewInMemoryExporter()}
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "skadi.db"), Clock: w.clock})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	w.store = db
	w.both = telemetry.Both{
		Metrics: telemetry.NewMetrics(w.clock),
		Traces:  telemetry.NewTracer(sdktrace.NewSimpleSpanProcessor(w.spans), "node-1", ratio, w.clock),
	}
	w.Service = job.New(job.Config{Store: db, Waker: queue.NewWaker(), Clock: w.clock, Observer: w.both})
	a, err := w.CreateAgent(t.Context(), job.DefaultSpace, "web-1")
	require.NoError(t, err)
	w.caller = job.Caller{Space: job.DefaultSpace, AgentID: a.ID, Agent: a.Name}
	require.NoError(t, w.CheckIn(t.Context(), w.caller))
	return w
}

func (w *world) push(ctx context.Context) job.Job {
	w.t.Helper()
	created, err := w.Create(ctx, []job.Entry{{Draft: &job.Draft{
		Space: job.DefaultSpace, Agent: "web-1", Message: "deploy the-secret",
		Sender:       chat.Sender{Account: "work", Workspace: "T1", User: "ada"},
		Conversation: &chat.ConversationRef{Account: "work", Key: "C1"},
	}}})
	require.NoError(w.t, err)
	require.NoError(w.t, created[0].Err)
	return created[0].Job
}

func (w *world) take() job.Job {
	w.t.Helper()
	answer, err := w.Poll(w.t.Context(), w.caller, job.PollRequest{Max: 1})
	require.NoError(w.t, err)
	require.Len(w.t, answer.Jobs, 1)
	return answer.Jobs[0]
}

func (w *world) report(j job.Job, status job.Status, reason job.Reason) {
	w.t.Helper()
	us, err := w.Report(w.t.Context(), w.caller, []job.Report{{ID: j.ID, Lease: j.Lease, Status: status, Reason: reason}})
	require.NoError(w.t, err)
	require.NoError(w.t, us[0].Err)
}

// tell records that everything was told, as a replier does.
func (w *world) tell(dead string) {
	w.t.Helper()
	c := events.Conversation{Account: "work", Key: "C1"}
	open, err := w.store.Open(w.t.Context(), c, 100)
	require.NoError(w.t, err)
	d := events.Delivery{Conversation: c, Events: open, Dead: dead}
	require.NoError(w.t, w.store.Record(w.t.Context(), d))
	w.both.Told(d)
}

// life is one job that takes 2 s to be sent, runs for 30 s, and is told of 1 s
// later.
func (w *world) life() job.Job {
	w.t.Helper()
	arrived := telemetry.Arrived(w.t.Context(), w.clock(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	w.push(arrived)
	w.pass(2 * time.Second)
	j := w.take()
	w.pass(30 * time.Second)
	w.report(j, job.Succeeded, "")
	w.pass(time.Second)
	w.tell("")
	return j
}

func (w *world) shows(want string, names ...string) {
	w.t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(w.both.Metrics)
	require.NoError(w.t, testutil.GatherAndCompare(r, strings.NewReader(want), names...))
}

func TestStagesOfALife(t *testing.T) {
	t.Parallel()
	w := setup(t, 1)
	w.life()
	w.shows(`
# HELP skadi_jobs_total Jobs that took an arrow to this status at this server, by the reason; other is a reason of an agent's own.
# TYPE skadi_jobs_total counter
skadi_jobs_total{reason="",status="queuing"} 1
skadi_jobs_total{reason="",status="sent"} 1
skadi_jobs_total{reason="",status="succeeded"} 1
`, "skadi_jobs_total")
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(w.both.Metrics)
	all, err := r.Gather()
	require.NoError(t, err)
	sums := map[string]float64{}
	for _, family := range all {
		if family.GetName() != "skadi_job_stage_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			sums[m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleSum()
		}
	}
	assert.Equal(t, map[string]float64{"accepted_to_sent": 2, "sent_to_final": 30, "final_to_told": 1}, sums)
}

func TestReasonsTakeFewValues(t *testing.T) {
	t.Parallel()
	w := setup(t, 1)
	w.push(t.Context())
	w.report(w.take(), job.Failed, "disk_full_on_web_1")
	w.push(t.Context())
	w.report(w.take(), job.Failed, job.Interrupted)
	w.pass(time.Hour)
	w.push(t.Context()) // the agent is silent, and a fresh service holds that against nobody
	w.shows(`
# HELP skadi_jobs_total Jobs that took an arrow to this status at this server, by the reason; other is a reason of an agent's own.
# TYPE skadi_jobs_total counter
skadi_jobs_total{reason="",status="queuing"} 3
skadi_jobs_total{reason="",status="sent"} 2
skadi_jobs_total{reason="interrupted",status="failed"} 1
skadi_jobs_total{reason="other",status="failed"} 1
`, "skadi_jobs_total")
}

func TestGivenUpAndSent(t *testing.T) {
	t.Parallel()
	w := setup(t, 1)
	w.push(t.Context())
	w.tell("the channel was archived")
	w.both.Sent("work", time.Second, nil)
	w.both.Sent("work", time.Second, &chat.SendError{Class: chat.RateLimited, Err: errors.New("slow down")})
	w.both.Sent("work", time.Second, errors.New("never classified"))
	w.shows(`
# HELP skadi_events_given_up_total Events that this server could not tell to their conversation; skadi undelivered lists them.
# TYPE skadi_events_given_up_total counter
skadi_events_given_up_total 1
`, "skadi_events_given_up_total")
	assert.Equal(t, 3, testutil.CollectAndCount(w.both.Metrics, "skadi_send_seconds"))
}

func TestWhatAdaptersCount(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(time.Now)
	unmatched, panicked := m.Unmatched("ci"), m.Panicked("work")
	m.Unmatched("work") // never called: the account has no rules
	unmatched()
	unmatched()
	require.NoError(t, testutil.CollectAndCompare(m, strings.NewReader(`
# HELP skadi_webhooks_unmatched_total Webhook calls whose signature was right and that no rule of the account is for, by account.
# TYPE skadi_webhooks_unmatched_total counter
skadi_webhooks_unmatched_total{account="ci"} 2
# HELP skadi_account_panics_total Panics of adapters while they handled a message, by account; each is a bug.
# TYPE skadi_account_panics_total counter
skadi_account_panics_total{account="work"} 0
`), "skadi_webhooks_unmatched_total", "skadi_account_panics_total"))
	panicked()
	require.NoError(t, testutil.CollectAndCompare(m, strings.NewReader(`
# HELP skadi_account_panics_total Panics of adapters while they handled a message, by account; each is a bug.
# TYPE skadi_account_panics_total counter
skadi_account_panics_total{account="work"} 1
`), "skadi_account_panics_total"))
}

func TestInboxTakesTheTime(t *testing.T) {
	t.Parallel()
	w := setup(t, 1)
	away := errors.New("away")
	box := w.both.Inbox("work", acceptFunc(func(context.Context, chat.Inbound) error { return away }))
	require.ErrorIs(t, box.Accept(t.Context(), chat.Inbound{}), away)
	assert.Equal(t, 1, testutil.CollectAndCount(w.both.Metrics, "skadi_message_accept_seconds"))
}

type acceptFunc func(context.Context, chat.Inbound) error

func (f acceptFunc) Accept(ctx context.Context, m chat.Inbound) error { return f(ctx, m) }

func TestBacklogWithoutADatabase(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	b := telemetry.Backlog{State: telemetry.State{
		Open:   func(context.Context) (int64, time.Duration, error) { return 0, 0, gone },
		Jobs:   func(context.Context) (map[job.Status]int64, error) { return nil, gone },
		Polls:  func() int { return 7 },
		Writes: func() telemetry.Writes { return telemetry.Writes{Commits: 2, Members: 12} },
	}}
	require.NoError(t, testutil.CollectAndCompare(b, strings.NewReader(`
# HELP skadi_store_commit_members_total Writes in those transactions; divided by their number, the size of a group commit.
# TYPE skadi_store_commit_members_total counter
skadi_store_commit_members_total 12
# HELP skadi_waiting_polls Polls of agents that wait at this server.
# TYPE skadi_waiting_polls gauge
skadi_waiting_polls 7
`), "skadi_store_commit_members_total", "skadi_waiting_polls", "skadi_untold_events", "skadi_open_jobs"))
}
