package intake

import (
	"context"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an intake on a store of its own, with four agents: web-1 and db
// are online, web-2 was, and vault is for nobody but the owner.
type world struct {
	t     *testing.T
	ctx   context.Context
	store *sqlite.Store
	jobs  *job.Service
	// broken stands between the intake and the jobs.
	broken *broken
	conf   Config

	mu    sync.Mutex
	clock time.Time
	ids   int
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), clock: t0}
	var err error
	w.store, err = sqlite.Open(w.ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "skadi.db"), Clock: w.now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	w.jobs = job.New(job.Config{Store: w.store, Waker: quiet{}, Clock: w.now, Monotonic: func() time.Duration { return w.now().Sub(t0) }})
	policy, err := access.New(rules, root.Principal())
	require.NoError(t, err)
	w.broken = &broken{jobSide: w.jobs}
	w.conf = Config{
		Jobs:     w.broken,
		Policy:   func() *access.Policy { return policy },
		Auditor:  access.NewAuditor(w.store, w.now).WithLogger(slog.New(slog.DiscardHandler)),
		Defaults: w.store,
		Clock:    w.now,
		// The tests that are about time have their own.
		Timeout: time.Minute,
	}
	for _, name := range []string{"db", "vault", "web-1", "web-2"} {
		a, err := w.jobs.CreateAgent(w.ctx, job.DefaultSpace, name)
		require.NoError(t, err)
		if name == "vault" {
			continue
		}
		_, err = w.jobs.Poll(w.ctx, job.Caller{Space: a.Space, AgentID: a.ID, Agent: name}, job.PollRequest{
			Commands: []job.Command{
				{Name: "deploy", Usage: "deploy VERSION", Help: "put a version online"},
				{Name: "status", Help: "is it well?"},
				{Name: "reboot", Help: "start again"},
			},
		})
		require.NoError(t, err)
		if name == "web-2" {
			w.pass(10 * time.Minute)
		}
	}
	w.checkIn("db", "web-1")
	return w
}

// checkIn shows that the agents are there.
func (w *world) checkIn(names ...string) {
	w.t.Helper()
	for _, name := range names {
		require.NoError(w.t, w.jobs.CheckIn(w.ctx, w.caller(name)))
	}
}

func (w *world) caller(name string) job.Caller {
	w.t.Helper()
	a, err := w.jobs.Agent(w.ctx, job.DefaultSpace, name)
	require.NoError(w.t, err)
	return job.Caller{Space: a.Space, AgentID: a.ID, Agent: name}
}

func (w *world) inbox() chat.Inbox { return New(w.conf).Inbox(job.DefaultSpace, "work") }

// message is one that nobody sent before.
func (w *world) message(from chat.Sender, text string) chat.Inbound {
	w.ids++
	return chat.Inbound{
		ID: "m" + strconv.Itoa(w.ids), Sender: from, Conversation: ops, Text: text, Addressed: true, At: w.now(),
	}
}

// events returns all that was said and all statuses, in no particular order.
func (w *world) events() []job.Event {
	w.t.Helper()
	all, err := w.store.Unpublished(w.ctx, 10_000)
	require.NoError(w.t, err)
	return all
}

// said returns the events that f caused.
func (w *world) said(f func()) []job.Event {
	w.t.Helper()
	before := map[string]bool{}
	for _, e := range w.events() {
		before[e.ID()] = true
	}
	f()
	var caused []job.Event
	for _, e := range w.events() {
		if !before[e.ID()] {
			caused = append(caused, e)
		}
	}
	return caused
}

// accept hands a message in twice, as a channel may, and returns what it
// caused, which is the first time's alone.
func (w *world) accept(m chat.Inbound) []job.Event {
	w.t.Helper()
	b := w.inbox()
	caused := w.said(func() { require.NoError(w.t, b.Accept(w.ctx, m)) })
	again := w.said(func() { require.NoError(w.t, b.Accept(w.ctx, m)) })
	require.Empty(w.t, again, "the redelivery of %q said something", m.Text)
	return caused
}

// ask returns the one answer to a message.
func (w *world) ask(from chat.Sender, text string) job.Event {
	w.t.Helper()
	var answers []job.Event
	for _, e := range w.accept(w.message(from, text)) {
		if e.Kind == job.EventMessage && e.Conversation != nil {
			answers = append(answers, e)
		}
	}
	require.Len(w.t, answers, 1, "answers to %q", text)
	require.Equal(w.t, &ops, answers[0].Conversation)
	require.Equal(w.t, job.DefaultSpace, answers[0].Space)
	return answers[0]
}

// sends returns the job that a message makes.
func (w *world) sends(from chat.Sender, text string) job.Job {
	w.t.Helper()
	caused := w.accept(w.message(from, text))
	require.NotEmpty(w.t, caused, "%q made no job", text)
	for _, e := range caused {
		require.Equal(w.t, job.EventJobStatus, e.Kind, "%q was answered: %s", text, e.Text)
	}
	j, err := w.jobs.Job(w.ctx, job.DefaultSpace, caused[0].Subject)
	require.NoError(w.t, err)
	return j
}

func (w *world) job(id string) job.Job {
	w.t.Helper()
	j, err := w.jobs.Job(w.ctx, job.DefaultSpace, id)
	require.NoError(w.t, err)
	return j
}

func (w *world) countJobs(space string) int {
	w.t.Helper()
	list, err := w.jobs.Jobs(w.ctx, job.Filter{Space: space, Limit: 100})
	require.NoError(w.t, err)
	return len(list)
}

func (w *world) audit() []access.Record {
	w.t.Helper()
	list, err := w.store.AuditLog(w.ctx, job.DefaultSpace, 100)
	require.NoError(w.t, err)
	return list
}

// quiet is a job.Waker for tests in which nobody waits.
type quiet struct{}

func (quiet) Wake(...string)                            {}
func (quiet) Watch(...string) (<-chan struct{}, func()) { return make(chan struct{}), func() {} }

// jobSide is Jobs under a name that none of its methods has.
type jobSide interface{ Jobs }

// broken is a job side that fails where a test says so.
type broken struct {
	jobSide
	create, agent, cancel error
	// hang makes Create wait for the end of its context.
	hang bool
}

func (b *broken) Create(ctx context.Context, entries []job.Entry) ([]job.Created, error) {
	if b.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if b.create != nil {
		return nil, b.create
	}
	return b.jobSide.Create(ctx, entries)
}

func (b *broken) Agent(ctx context.Context, space, name string) (job.Agent, error) {
	if b.agent != nil {
		return job.Agent{}, b.agent
	}
	return b.jobSide.Agent(ctx, space, name)
}

func (b *broken) Cancel(ctx context.Context, space, id, by string) (job.Job, error) {
	if b.cancel != nil {
		return job.Job{}, b.cancel
	}
	return b.jobSide.Cancel(ctx, space, id, by)
}
