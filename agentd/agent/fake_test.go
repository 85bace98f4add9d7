package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// token is what the fake server takes until a test changes it.
const token = "skd_0123456789abcdef"

// fake is the server's side of the agent API, in memory: the lifecycle of the
// real one, without its deadlines other than that of an offer.
type fake struct {
	mu       sync.Mutex
	jobs     map[string]*fakeJob
	order    []string
	leases   int
	token    string
	removed  bool
	commands []agentapi.Command
	version  string
	instance string
	running  []agentapi.Hold // of the last poll that mentioned some
	polls    int
	maxes    []int
	changed  chan struct{} // closed and renewed at every change
	// intercept, if set, may answer a call instead of the fake.
	intercept func(w http.ResponseWriter, r *http.Request) bool
	// batches are the sizes of calls with several results.
	batches []int
	// offerFor is how long an offer may go unconfirmed.
	offerFor time.Duration
}

type fakeJob struct {
	agentapi.Assignment
	status       string
	offeredUntil time.Time
	report       *agentapi.Report
	late         []agentapi.Report
	output       []string
	cancelAsked  bool
	cancelTold   time.Time
	reportedAt   time.Time
}

func newFake() *fake {
	return &fake{jobs: map[string]*fakeJob{}, token: token, offerFor: 30 * time.Second, changed: make(chan struct{})}
}

// update changes the fake's state and wakes whoever waits for a change.
func (f *fake) update(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

// push adds a job and returns its ID.
func (f *fake) push(message string) string {
	var id string
	f.update(func() {
		id = fmt.Sprintf("job-%d", len(f.order)+1)
		f.order = append(f.order, id)
		f.jobs[id] = &fakeJob{
			Assignment: agentapi.Assignment{
				ID: id, Code: fmt.Sprintf("c%05d", len(f.order)), Message: message,
				Sender: agentapi.Sender{Adapter: "terminal", ID: "terminal:ada", Name: "Ada"},
			},
			status: "queuing",
		}
	})
	return id
}

// look reads the fake's state.
func (f *fake) look(read func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	read()
}

func (f *fake) cancel(id string) {
	f.update(func() { f.jobs[id].cancelAsked = true })
}

// await waits until cond, called with the lock held, is true.
func (f *fake) await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	timeout := time.After(90 * time.Second)
	for {
		f.mu.Lock()
		ok, changed := cond(), f.changed
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("waited too long for: %s", what)
		}
	}
}

// final waits until the job is final and returns a copy of it.
func (f *fake) final(t testing.TB, id string) fakeJob {
	t.Helper()
	f.await(t, id+" to be final", func() bool { return f.jobs[id].report != nil })
	f.mu.Lock()
	defer f.mu.Unlock()
	return *f.jobs[id]
}

// RoundTrip serves a request without a network, so that tests can run in a
// synctest bubble.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = io.NopCloser(strings.NewReader(""))
	}
	rec := httptest.NewRecorder()
	f.ServeHTTP(rec, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}

func (f *fake) client() *http.Client { return &http.Client{Transport: f} }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	intercept, want, removed := f.intercept, f.token, f.removed
	f.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer "+want:
		problem(w, http.StatusUnauthorized, agentapi.ProblemBadToken, nil)
		return
	case removed:
		problem(w, http.StatusGone, agentapi.ProblemAgentRemoved, nil)
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/agent/"), "/")
	switch {
	case path[0] == "poll":
		f.poll(w, r)
	case path[0] == "starts":
		var in agentapi.Starts
		read(r, &in)
		var out agentapi.Answers
		for _, h := range in.Starts {
			out.Answers = append(out.Answers, f.start(h))
		}
		answer(w, out)
	case path[0] == "results":
		var in agentapi.Reports
		read(r, &in)
		var out agentapi.Answers
		for _, one := range in.Results {
			out.Answers = append(out.Answers, f.report(one.ID, one.Report))
		}
		f.update(func() { f.batches = append(f.batches, len(in.Results)) })
		answer(w, out)
	case len(path) == 3 && path[2] == "result":
		var in agentapi.Report
		read(r, &in)
		a := f.report(path[1], in)
		if a.Status != http.StatusOK {
			problem(w, a.Status, a.Problem.Type, a.Problem)
			return
		}
		answer(w, agentapi.Job{ID: path[1], Status: in.Status})
	case len(path) == 3 && path[2] == "output":
		f.output(w, r, path[1])
	default:
		problem(w, http.StatusNotFound, agentapi.ProblemNotFound, nil)
	}
}

func (f *fake) poll(w http.ResponseWriter, r *http.Request) {
	var in agentapi.PollRequest
	read(r, &in)
	most := 1
	if in.Max != nil {
		most = *in.Max
	}
	f.update(func() {
		f.polls++
		f.maxes = append(f.maxes, most)
		f.instance = in.Instance
		if in.Commands != nil {
			f.commands = in.Commands
		}
		if in.Version != "" {
			f.version = in.Version
		}
		if len(in.Running) > 0 {
			f.running = in.Running
		}
	})
	over := time.After(time.Duration(in.WaitSeconds) * time.Second)
	for {
		f.mu.Lock()
		a, again := f.offer(most)
		changed := f.changed
		f.mu.Unlock()
		if len(a.Jobs)+len(a.Cancel) > 0 || in.WaitSeconds == 0 {
			answer(w, a)
			return
		}
		select {
		case <-changed:
		case <-time.After(again):
		case <-over:
			answer(w, a)
			return
		case <-r.Context().Done():
			return
		}
	}
}

// offer hands out jobs and cancels, and says when to look again.
func (f *fake) offer(most int) (a agentapi.PollAnswer, again time.Duration) {
	again = time.Hour
	now := time.Now()
	for _, id := range f.order {
		j := f.jobs[id]
		if j.status == "sent" && j.cancelAsked && now.Sub(j.cancelTold) >= 10*time.Second {
			j.cancelTold = now
			a.Cancel = append(a.Cancel, agentapi.Hold{ID: id, Lease: j.Lease})
		}
		if j.status != "queuing" {
			continue
		}
		if left := j.offeredUntil.Sub(now); left > 0 {
			again = min(again, left)
			continue
		}
		if len(a.Jobs) < most {
			f.leases++
			j.Lease = fmt.Sprintf("lease-%d", f.leases)
			j.Attempt++
			j.offeredUntil = now.Add(f.offerFor)
			a.Jobs = append(a.Jobs, j.Assignment)
		}
	}
	return a, again
}

func (f *fake) start(h agentapi.Hold) agentapi.Answer {
	code, kind := http.StatusOK, ""
	f.update(func() {
		j := f.jobs[h.ID]
		switch {
		case j == nil:
			code, kind = http.StatusNotFound, agentapi.ProblemUnknownJob
		case j.status == "sent" && j.Lease == h.Lease:
		case j.status == "queuing" && j.Lease == h.Lease && time.Now().Before(j.offeredUntil):
			j.status = "sent"
		case j.status == "queuing" || j.status == "sent":
			code, kind = http.StatusConflict, agentapi.ProblemWrongLease
		default:
			code, kind = http.StatusConflict, agentapi.ProblemJobFinal
		}
	})
	return itemAnswer(h.ID, code, kind)
}

func (f *fake) report(id string, r agentapi.Report) agentapi.Answer {
	code, kind := http.StatusOK, ""
	f.update(func() {
		j := f.jobs[id]
		switch {
		case j == nil:
			code, kind = http.StatusNotFound, agentapi.ProblemUnknownJob
		case j.Lease != r.Lease:
			code, kind = http.StatusConflict, agentapi.ProblemWrongLease
		case j.status == "queuing", r.Status == "canceled" && !j.cancelAsked:
			code, kind = http.StatusConflict, agentapi.ProblemConflict
		case j.status == "sent":
			j.status, j.report, j.reportedAt = r.Status, &r, time.Now()
		case j.report != nil && same(*j.report, r):
		default:
			j.late = append(j.late, r)
			code, kind = http.StatusConflict, agentapi.ProblemJobFinal
		}
	})
	return itemAnswer(id, code, kind)
}

func same(a, b agentapi.Report) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func (f *fake) output(w http.ResponseWriter, r *http.Request, id string) {
	var in agentapi.Output
	read(r, &in)
	var code int
	var p agentapi.Problem
	f.update(func() {
		j := f.jobs[id]
		switch next := int64(len(j.output)) + 1; {
		case j.status != "sent" || j.Lease != in.Lease:
			code, p.Type = http.StatusConflict, agentapi.ProblemWrongLease
		case in.Seq > next:
			code, p.Type, p.Expected = http.StatusConflict, agentapi.ProblemOutputGap, next
		case in.Seq == next:
			j.output = append(j.output, in.Text)
		}
	})
	if code != 0 {
		problem(w, code, p.Type, &p)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func itemAnswer(id string, code int, kind string) agentapi.Answer {
	a := agentapi.Answer{ID: id, Status: code}
	if code != http.StatusOK {
		a.Problem = &agentapi.Problem{Type: kind, Title: kind, Status: code}
	}
	return a
}

func read(r *http.Request, into any) {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		panic(err)
	}
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func problem(w http.ResponseWriter, code int, kind string, p *agentapi.Problem) {
	if p == nil {
		p = &agentapi.Problem{Type: kind, Title: kind}
	}
	p.Status = code
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(p)
}

// start runs an agent until stop is called, which returns Run's error.
func start(t testing.TB, a interface{ Run(context.Context) error }) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// ask pushes a message and waits for the answer.
func (f *fake) ask(message string) string {
	id := f.push(message)
	for {
		f.mu.Lock()
		r, changed := f.jobs[id].report, f.changed
		f.mu.Unlock()
		if r != nil {
			return r.Status + ": " + *r.Output
		}
		<-changed
	}
}
