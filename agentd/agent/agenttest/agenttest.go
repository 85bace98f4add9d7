// Package agenttest is a Skadi server for the tests of an agent: it hands out
// jobs that a test pushes and keeps what the agent says about them.
package agenttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// Token is what a Server takes until a test changes it.
const Token = "skd_0123456789abcdef"

// Server is the server's side of the agent API, in memory: the lifecycle of
// the real one, without its deadlines other than that of an offer. It is an
// http.Handler for httptest.NewServer, and an http.RoundTripper that needs no
// network, so that tests can run in a synctest bubble.
type Server struct {
	mu      sync.Mutex
	state   State
	changed chan struct{} // closed and renewed at every change
}

// State is what a Server knows; Look, Update and Await give access to it.
type State struct {
	Jobs map[string]*Job
	// Token is the agent's; Removed says that it has no agent any more.
	Token   string
	Removed bool
	// OfferFor is how long an offer may go unconfirmed.
	OfferFor time.Duration

	// What the agent said of itself.
	Commands []agentapi.Command
	Version  string
	Instance string
	// Running are the jobs that the last poll mentioned which mentioned any.
	Running []agentapi.Hold
	// Polls counts the polls, Maxes are how many jobs each asked for, and
	// Batches how many results each call with several had.
	Polls   int
	Maxes   []int
	Batches []int

	order     []string
	leases    int
	intercept func(w http.ResponseWriter, r *http.Request) bool
}

// Job is a job on the Server.
type Job struct {
	agentapi.Assignment
	Status string
	// Report is the result, nil until there is one; Late are further ones.
	Report     *agentapi.Report
	Late       []agentapi.Report
	ReportedAt time.Time
	// Output are the pieces of live output.
	Output      []string
	CancelAsked bool

	offeredUntil time.Time
	cancelTold   time.Time
}

// New makes a Server.
func New() *Server {
	return &Server{
		state:   State{Jobs: map[string]*Job{}, Token: Token, OfferFor: 30 * time.Second},
		changed: make(chan struct{}),
	}
}

// Look reads the state.
func (s *Server) Look(read func(st *State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	read(&s.state)
}

// Update changes the state and wakes whoever waits for a change.
func (s *Server) Update(change func(st *State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Await waits until cond is true of the state.
func (s *Server) Await(t testing.TB, what string, cond func(st *State) bool) {
	t.Helper()
	timeout := time.After(90 * time.Second)
	for {
		s.mu.Lock()
		ok, changed := cond(&s.state), s.changed
		s.mu.Unlock()
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

// Push adds a job and returns its ID.
func (s *Server) Push(message string) (id string) {
	s.Update(func(st *State) {
		n := len(st.order) + 1
		id = fmt.Sprintf("job-%d", n)
		st.order = append(st.order, id)
		st.Jobs[id] = &Job{
			Assignment: agentapi.Assignment{
				ID: id, Code: fmt.Sprintf("c%05d", n), Message: message,
				Sender: agentapi.Sender{Adapter: "terminal", ID: "terminal:ada", Name: "Ada"},
			},
			Status: "queuing",
		}
	})
	return id
}

// Intercept lets f answer calls instead of the server, where it returns true.
func (s *Server) Intercept(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.Update(func(st *State) { st.intercept = f })
}

// Cancel asks for a job to be canceled.
func (s *Server) Cancel(id string) {
	s.Update(func(st *State) { st.Jobs[id].CancelAsked = true })
}

// Final waits until the job has a result and returns a copy of it.
func (s *Server) Final(t testing.TB, id string) Job {
	t.Helper()
	var j Job
	s.Await(t, id+" to be final", func(st *State) bool {
		j = *st.Jobs[id]
		return j.Report != nil
	})
	return j
}

// Ask pushes a message, waits for the answer and returns it in one line.
func (s *Server) Ask(message string) string {
	id := s.Push(message)
	for {
		s.mu.Lock()
		r, changed := s.state.Jobs[id].Report, s.changed
		s.mu.Unlock()
		if r != nil {
			return r.Status + ": " + *r.Output
		}
		<-changed
	}
}

// Offer offers the jobs that wait, as a poll's answer does.
func (s *Server) Offer(most int) []agentapi.Assignment {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, _ := s.state.offer(most)
	return a.Jobs
}

// Start confirms an offer.
func (s *Server) Start(h agentapi.Hold) (a agentapi.Answer) {
	s.Update(func(st *State) { a = st.start(h) })
	return a
}

// Client returns a client that reaches the server without a network.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s} }

// RoundTrip implements http.RoundTripper.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	intercept, token, removed := s.state.intercept, s.state.Token, s.state.Removed
	s.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		Problem(w, http.StatusUnauthorized, agentapi.ProblemBadToken)
		return
	case removed:
		Problem(w, http.StatusGone, agentapi.ProblemAgentRemoved)
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/agent/"), "/")
	switch {
	case path[0] == "poll":
		s.poll(w, r)
	case path[0] == "starts":
		s.starts(w, r)
	case path[0] == "results":
		s.results(w, r)
	case len(path) == 3 && path[2] == "result":
		s.result(w, r, path[1])
	case len(path) == 3 && path[2] == "output":
		s.output(w, r, path[1])
	default:
		Problem(w, http.StatusNotFound, agentapi.ProblemNotFound)
	}
}

func (s *Server) poll(w http.ResponseWriter, r *http.Request) {
	var in agentapi.PollRequest
	if !read(w, r, &in) {
		return
	}
	most := 1
	if in.Max != nil {
		most = *in.Max
	}
	s.Update(func(st *State) { st.meet(in, most) })
	over := time.After(time.Duration(in.WaitSeconds) * time.Second)
	for {
		s.mu.Lock()
		a, again := s.state.offer(most)
		changed := s.changed
		s.mu.Unlock()
		if len(a.Jobs)+len(a.Cancel) > 0 || in.WaitSeconds == 0 {
			Answer(w, a)
			return
		}
		select {
		case <-changed:
		case <-time.After(again):
		case <-over:
			Answer(w, a)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (s *Server) starts(w http.ResponseWriter, r *http.Request) {
	var in agentapi.Starts
	if !read(w, r, &in) {
		return
	}
	var out agentapi.Answers
	for _, h := range in.Starts {
		out.Answers = append(out.Answers, s.Start(h))
	}
	Answer(w, out)
}

func (s *Server) results(w http.ResponseWriter, r *http.Request) {
	var in agentapi.Reports
	if !read(w, r, &in) {
		return
	}
	var out agentapi.Answers
	s.Update(func(st *State) {
		st.Batches = append(st.Batches, len(in.Results))
		for _, one := range in.Results {
			out.Answers = append(out.Answers, st.report(one.ID, one.Report))
		}
	})
	Answer(w, out)
}

func (s *Server) result(w http.ResponseWriter, r *http.Request, id string) {
	var in agentapi.Report
	if !read(w, r, &in) {
		return
	}
	var a agentapi.Answer
	s.Update(func(st *State) { a = st.report(id, in) })
	if a.Problem != nil {
		Problem(w, a.Status, a.Problem.Type)
		return
	}
	Answer(w, agentapi.Job{ID: id, Status: in.Status})
}

func (s *Server) output(w http.ResponseWriter, r *http.Request, id string) {
	var in agentapi.Output
	if !read(w, r, &in) {
		return
	}
	var p *agentapi.Problem
	s.Update(func(st *State) { p = st.output(id, in) })
	if p != nil {
		write(w, p.Status, "application/problem+json", p)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Refusal is the answer to one item of a batch that is not taken.
func Refusal(id string, status int, kind string) agentapi.Answer {
	return agentapi.Answer{ID: id, Status: status, Problem: &agentapi.Problem{Type: kind, Title: kind, Status: status}}
}

// Problem answers with an error of the API.
func Problem(w http.ResponseWriter, status int, kind string) {
	write(w, status, "application/problem+json", agentapi.Problem{Type: kind, Title: kind, Status: status})
}

// Answer answers with JSON.
func Answer(w http.ResponseWriter, body any) { write(w, http.StatusOK, "application/json", body) }

func write(w http.ResponseWriter, status int, kind string, body any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		Problem(w, http.StatusBadRequest, agentapi.ProblemBadJSON)
		return false
	}
	return true
}
