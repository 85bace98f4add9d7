package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

// testRules let the token ci send some things to the agents web-*, with the
// approval of ops for one of them, let ops see everything, and lab its agents.
func testRules() access.Rules {
	return access.Rules{Rules: []access.Rule{
		{Who: []string{"token:ci"}, Agents: []string{"web-*"}, May: []string{"deploy *", "status"}},
		{Who: []string{"token:ci"}, Agents: []string{"web-*"}, May: []string{"wipe"}, Approval: []string{"work:T1/ops"}},
		{Who: []string{"token:ops"}, Agents: []string{"*"}, May: []string{"status"}, See: true},
		{Who: []string{"token:lab"}, Agents: []string{"lab-*"}, See: true},
	}}
}

// env is an API on a database of its own, served over a real connection.
type env struct {
	api     *API
	url     string
	client  *http.Client
	jobs    *job.Service
	store   *faulty
	db      *sqlite.Store
	waker   *watchedWaker
	queue   *queue.Embedded
	tokens  *access.Tokens
	auditor *access.Auditor
	clock   *clock
	logged  *lockedBuffer
	// The tokens of each role; web1 is the agent web-1's.
	admin, ci, ops, reader, web1 string
}

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// lockedBuffer takes the log of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// faulty is a store whose every write and read fails while err is set.
type faulty struct {
	job.Store
	err atomic.Pointer[error]
	// panics makes the next read of a job panic, panicUpdate the next update.
	panics, panicUpdate atomic.Bool
	// claimed gets the name of each agent that was looked for jobs.
	claimed chan string
}

func (f *faulty) fail(err error) { f.err.Store(&err) }

func (f *faulty) fault() error {
	if p := f.err.Load(); p != nil {
		return *p
	}
	return nil
}

func (f *faulty) Create(ctx context.Context, entries []job.Entry) ([]job.Created, error) {
	if err := f.fault(); err != nil {
		return nil, err
	}
	return f.Store.Create(ctx, entries)
}

func (f *faulty) Update(ctx context.Context, sel job.Selection, decide job.Decide) ([]job.Updated, error) {
	if f.panicUpdate.Swap(false) {
		panic("a mistake in the store")
	}
	if err := f.fault(); err != nil {
		return nil, err
	}
	us, err := f.Store.Update(ctx, sel, decide)
	if sel.Kind == job.SelectClaimable {
		tell(f.claimed, sel.Agent)
	}
	return us, err
}

func (f *faulty) Job(ctx context.Context, space, id string) (job.Job, error) {
	if f.panics.Swap(false) {
		panic("a mistake in the store")
	}
	if err := f.fault(); err != nil {
		return job.Job{}, err
	}
	return f.Store.Job(ctx, space, id)
}

// watchedWaker says which keys are watched, for tests to wait on.
type watchedWaker struct {
	*queue.Waker
	begun, ended chan string
}

func (w *watchedWaker) Watch(keys ...string) (<-chan struct{}, func()) {
	c, stop := w.Waker.Watch(keys...)
	tell(w.begun, keys[0])
	return c, func() { stop(); tell(w.ended, keys[0]) }
}

func tell(c chan<- string, key string) {
	select {
	case c <- key:
	default: // nobody listens
	}
}

// watched waits until somebody waits for the key, or no longer does.
func watched(t testing.TB, c <-chan string, key string) {
	t.Helper()
	for {
		select {
		case k := <-c:
			if k == key {
				return
			}
		case <-t.Context().Done():
			t.Fatalf("nobody waited for %s", key)
		}
	}
}

// setup makes an env. change may alter the API's config.
func setup(t testing.TB, change ...func(*Config)) *env {
	t.Helper()
	e := &env{clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, logged: &lockedBuffer{}, client: newClient(t)}
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "skadi.db"), Clock: e.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	log := slog.New(slog.NewTextHandler(e.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e.db, e.store = db, &faulty{Store: db, claimed: make(chan string, 4096)}
	e.waker = &watchedWaker{Waker: queue.NewWaker(), begun: make(chan string, 4096), ended: make(chan string, 4096)}
	begun := e.clock.Now()
	e.jobs = job.New(job.Config{
		Store: e.store, Waker: e.waker, Clock: e.clock.Now, Logger: log,
		Monotonic: func() time.Duration { return e.clock.Now().Sub(begun) },
	})
	e.tokens = access.NewTokens(db, e.clock.Now)
	e.auditor = access.NewAuditor(db, e.clock.Now).WithLogger(log)
	e.queue = queue.NewEmbedded()
	t.Cleanup(func() { _ = e.queue.Close() })
	policy, err := access.New(testRules())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Jobs: e.jobs, Policy: func() *access.Policy { return policy }, Tokens: e.tokens, Auditor: e.auditor,
		Queue: e.queue, Clock: e.clock.Now, Logger: log,
	}
	for _, c := range change {
		c(&cfg)
	}
	e.api = New(cfg)
	t.Cleanup(func() { remember(t, e.api) })
	srv := httptest.NewServer(e.api.Handler())
	t.Cleanup(srv.Close)
	e.url = srv.URL

	e.admin = e.token(t, "root", access.RoleAdmin)
	e.ci = e.token(t, "ci", access.RolePush)
	e.ops = e.token(t, "ops", access.RolePush)
	e.reader = e.token(t, "board", access.RoleRead)
	e.web1 = e.agent(t, "web-1")
	return e
}

// tokenIn makes a token of some space.
func (e *env) tokenIn(t testing.TB, space, name string, role access.Role) string {
	t.Helper()
	secret, err := e.tokens.Create(t.Context(), space, name, role, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}

func (e *env) token(t testing.TB, name string, role access.Role) string {
	t.Helper()
	return e.tokenIn(t, job.DefaultSpace, name, role)
}

// agent makes an agent that has checked in, and returns its token.
func (e *env) agent(t testing.TB, name string) string {
	t.Helper()
	a, err := e.jobs.CreateAgent(t.Context(), job.DefaultSpace, name)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := e.tokens.Create(t.Context(), job.DefaultSpace, "", access.RoleAgent, a.ID, a.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.jobs.CheckIn(t.Context(), job.Caller{Space: a.Space, AgentID: a.ID, Agent: a.Name}); err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}

// answer is a response that was read.
type answer struct {
	what   string
	status int
	header http.Header
	body   string
	// last says that the connection ends with it.
	last bool
}

// call sends one request; headers come in pairs.
func (e *env) call(t *testing.T, method, path, token, body string, headers ...string) answer {
	t.Helper()
	a, err := e.send(t.Context(), method, path, token, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// begin sends one request, whose answer comes later.
func (e *env) begin(t *testing.T, method, path, token, body string) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		a, err := e.send(t.Context(), method, path, token, body)
		if err != nil {
			a = answer{what: method + " " + path, body: err.Error()}
		}
		answers <- a
	}()
	return answers
}

func (e *env) send(ctx context.Context, method, path, token, body string, headers ...string) (answer, error) {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, e.url+path, r)
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := e.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return answer{what: method + " " + path, status: res.StatusCode, header: res.Header, body: string(b)}, err
}

// readAnswer reads a response to its end.
func readAnswer(t *testing.T, res *http.Response) answer {
	t.Helper()
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(b), last: res.Close}
}

// want fails the test unless the status is that, and returns the body.
func (a answer) want(t *testing.T, status int) string {
	t.Helper()
	if a.status != status {
		t.Fatalf("%s: %d %s; want %d", a.what, a.status, a.body, status)
	}
	return a.body
}

// problem fails the test unless the answer is a problem of that type, whole
// and with the status that belongs to it.
func (a answer) problem(t *testing.T, kind string) agentapi.Problem {
	t.Helper()
	var p agentapi.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%s: %d %q is no problem: %v", a.what, a.status, a.body, err)
	}
	if p.Type != kind || p.Status != a.status || a.status != problemKinds[kind].Status {
		t.Fatalf("%s: %d %s; want %s", a.what, a.status, a.body, kind)
	}
	if a.header.Get("Content-Type") != problemType || p.Title == "" || p.Detail == "" || p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") {
		t.Errorf("%s: the problem is not whole: %v %+v", a.what, a.header, p)
	}
	return p
}

// as decodes an answer that must have that status.
func as[T any](t *testing.T, a answer, status int) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.want(t, status)), &v); err != nil {
		t.Fatalf("%s: %s: %v", a.what, a.body, err)
	}
	return v
}

func encode(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// push makes a job as the admin.
func (e *env) push(t *testing.T, agent, message string) agentapi.Job {
	t.Helper()
	return as[agentapi.Job](t, e.call(t, http.MethodPost, "/v1/jobs", e.admin, encode(t, agentapi.Push{Agent: agent, Message: message})), http.StatusCreated)
}

// take polls web-1 for one job, which must be there.
func (e *env) take(t *testing.T, body string) agentapi.Assignment {
	t.Helper()
	a := as[agentapi.PollAnswer](t, e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, body), http.StatusOK)
	if len(a.Jobs) != 1 {
		t.Fatalf("the poll brought %d jobs; want 1", len(a.Jobs))
	}
	e.waitForPoll(t) // this one, so that the next call waits for the next
	return a.Jobs[0]
}

func (e *env) job(t *testing.T, id string) agentapi.Job {
	t.Helper()
	return as[agentapi.Job](t, e.call(t, http.MethodGet, "/v1/jobs/"+id, e.admin, ""), http.StatusOK)
}

// waitForPoll returns once web-1 waits in a poll.
func (e *env) waitForPoll(t testing.TB) {
	t.Helper()
	watched(t, e.waker.begun, job.WakeAgent(job.DefaultSpace, "web-1"))
}

// expire ends a job as the sweeper does when its agent says nothing.
func (e *env) expire(t *testing.T, id string) {
	t.Helper()
	us, err := e.db.Update(t.Context(), job.ByID(job.DefaultSpace, id), func(v job.View) (*job.Change, error) {
		c := &job.Change{Job: v.Job}
		c.Job.Status, c.Job.Reason, c.Job.FinishedAt = job.Expired, job.NoResult, v.Now
		c.Job.Version++
		c.Events = []job.Event{{
			Subject: v.Job.ID, Version: c.Job.Version, Space: v.Job.Space, Kind: job.EventJobStatus, At: v.Now,
			Agent: v.Job.Agent, Num: v.Job.Num, Status: job.Expired, Reason: job.NoResult,
		}}
		return c, nil
	})
	if err != nil || us[0].Err != nil {
		t.Fatal(err, us)
	}
	e.waker.Wake(job.WakeJob(id))
}

var (
	seenMu sync.Mutex
	seen   = map[string]bool{} // "METHOD path status" of every answer in any test
)

// remember notes what the API answered, from its metrics.
func remember(t testing.TB, a *API) {
	t.Helper()
	families, err := a.metrics.registry.Gather()
	if err != nil {
		t.Error(err)
		return
	}
	seenMu.Lock()
	defer seenMu.Unlock()
	for _, f := range families {
		if f.GetName() != "skadi_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			seen[fmt.Sprintf("%s %s %s", labels["method"], labels["route"], labels["status"])] = true
		}
	}
}

// newBody is a body without a length. The channel is closed once it was read
// to its end, or given up.
func newBody(text string) (io.Reader, <-chan struct{}) {
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := io.WriteString(pw, text)
		_ = pw.CloseWithError(err)
	}()
	return pr, done
}
