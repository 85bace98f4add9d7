package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
)

func TestJobsAreSeenByRules(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.agent(t, "db-1")
	theirs := e.push(t, "web-1", "secret")
	own := as[agentapi.Job](t, e.call(t, http.MethodPost, "/v1/jobs", e.ci, `{"agent":"web-1","message":"status"}`), http.StatusCreated)
	db := e.push(t, "db-1", "secret")
	for _, tc := range []struct {
		name, token string
		want        []string
	}{
		{"admin", e.admin, []string{db.ID, own.ID, theirs.ID}},
		{"read", e.reader, []string{db.ID, own.ID, theirs.ID}},
		{"push by a rule that says see", e.ops, []string{db.ID, own.ID, theirs.ID}},
		{"push sees its own", e.ci, []string{own.ID}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			list := as[agentapi.JobList](t, e.call(t, http.MethodGet, "/v1/jobs", tc.token, ""), http.StatusOK)
			if got := ids(list); fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("lists %v; want %v", got, tc.want)
			}
			for _, id := range []string{own.ID, theirs.ID, db.ID} {
				a := e.call(t, http.MethodGet, "/v1/jobs/"+id, tc.token, "")
				if slices.Contains(tc.want, id) {
					a.want(t, http.StatusOK)
				} else {
					a.problem(t, agentapi.ProblemUnknownJob)
				}
			}
		})
	}
}

func ids(l agentapi.JobList) []string {
	got := []string{}
	for _, j := range l.Jobs {
		got = append(got, j.ID)
	}
	return got
}

func TestListPages(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.agent(t, "db-1")
	var want []string
	for i := range 7 {
		agent := "web-1"
		if i%2 == 1 {
			agent = "db-1"
		}
		want = append([]string{e.push(t, agent, "m").ID}, want...)
	}
	for _, limit := range []int{1, 2, 3, 6, 7, 8} {
		var got []string
		query := url.Values{"limit": {fmt.Sprint(limit)}}
		for pages := 0; ; pages++ {
			l := as[agentapi.JobList](t, e.call(t, http.MethodGet, "/v1/jobs?"+query.Encode(), e.reader, ""), http.StatusOK)
			got = append(got, ids(l)...)
			if l.NextCursor == "" {
				break
			}
			if len(l.Jobs) != limit || pages > 7 {
				t.Fatalf("limit %d: page %d has %d jobs and a next one", limit, pages, len(l.Jobs))
			}
			query.Set("cursor", l.NextCursor)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("limit %d: %v; want %v", limit, got, want)
		}
	}
	l := as[agentapi.JobList](t, e.call(t, http.MethodGet, "/v1/jobs?agent=db-1&status=queuing", e.reader, ""), http.StatusOK)
	if len(l.Jobs) != 3 {
		t.Errorf("of db-1 there are %d; want 3", len(l.Jobs))
	}
	if body := e.call(t, http.MethodGet, "/v1/jobs?status=failed", e.reader, "").want(t, http.StatusOK); body != "{\"jobs\":[]}\n" {
		t.Errorf("an empty list is %s", body)
	}
}

// TestListPagesOfSome pages through jobs of which the caller may see a few,
// by a rule that shows it everybody's jobs on some agents.
func TestListPagesOfSome(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.agent(t, "db-1")
	e.agent(t, "lab-1")
	var want []string
	for i := range 20 {
		agent := "web-1"
		if i%5 == 0 {
			agent = "lab-1"
		}
		if j := e.push(t, agent, "m"); agent == "lab-1" {
			want = append([]string{j.ID}, want...)
		}
	}
	lab := e.token(t, "lab", access.RolePush)
	var got []string
	for cursor := ""; ; {
		l := as[agentapi.JobList](t, e.call(t, http.MethodGet, "/v1/jobs?limit=2"+cursor, lab, ""), http.StatusOK)
		got = append(got, ids(l)...)
		if l.NextCursor == "" {
			break
		}
		cursor = "&cursor=" + l.NextCursor
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestListBadInput(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for query, field := range map[string]string{
		"status=running": "status", "status=": "status", "limit=0": "limit", "limit=501": "limit", "limit=x": "limit",
		"cursor=!": "cursor", "cursor=-1": "cursor", "cursor=0": "cursor", "cursor=ZZ": "cursor", "cursor=zzzzzzzzzzzzzzzz": "cursor",
		"agent=a&agent=b": "agent",
	} {
		p := e.call(t, http.MethodGet, "/v1/jobs?"+query, e.admin, "").problem(t, agentapi.ProblemBadParameter)
		if p.Field != field {
			t.Errorf("%s: the field at fault is %q", query, p.Field)
		}
	}
	for _, id := range []string{"0191e8a0-0000-7000-8000-000000000000", "zzzzzz", "%23k7f3q2", "..%2f", "x"} {
		e.call(t, http.MethodGet, "/v1/jobs/"+id, e.admin, "").problem(t, agentapi.ProblemUnknownJob)
	}
	j := e.push(t, "web-1", "m")
	e.call(t, http.MethodGet, "/v1/jobs/"+j.ID+"?wait=soon", e.admin, "").problem(t, agentapi.ProblemBadParameter)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	e := setup(t)
	cancel := func(token, id string) answer {
		return e.call(t, http.MethodPost, "/v1/jobs/"+id+"/cancel", token, "")
	}
	j := e.push(t, "web-1", "m")
	if got := as[agentapi.Job](t, cancel(e.admin, j.Code), http.StatusOK); got.Status != "canceled" {
		t.Errorf("a queuing job is %+v", got)
	}
	if p := cancel(e.admin, j.ID).problem(t, agentapi.ProblemJobFinal); p.Job == nil || p.Job.Status != "canceled" {
		t.Errorf("a final job comes as %+v", p)
	}

	sent := e.push(t, "web-1", "m")
	e.take(t, "")
	if got := as[agentapi.Job](t, cancel(e.admin, sent.ID), http.StatusAccepted); got.Status != "sent" || got.CancelRequestedAt == nil {
		t.Errorf("a sent job is %+v", got)
	}
	a := as[agentapi.PollAnswer](t, e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"max":0}`), http.StatusOK)
	if len(a.Cancel) != 1 || a.Cancel[0].ID != sent.ID {
		t.Errorf("the agent is told %+v", a)
	}

	// ops sees everything and may cancel only what it asked for.
	theirs := e.push(t, "web-1", "m")
	cancel(e.ops, theirs.ID).problem(t, agentapi.ProblemNotAllowed)
	cancel(e.ci, theirs.ID).problem(t, agentapi.ProblemUnknownJob)
	own := as[agentapi.Job](t, e.call(t, http.MethodPost, "/v1/jobs", e.ops, `{"agent":"web-1","message":"status"}`), http.StatusCreated)
	cancel(e.ops, own.ID).want(t, http.StatusOK)
}
