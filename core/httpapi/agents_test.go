package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

func TestAgents(t *testing.T) {
	t.Parallel()
	e := setup(t)
	made := as[agentapi.AgentToken](t, e.call(t, http.MethodPost, "/v1/agents", e.admin, `{"name":"db-1"}`), http.StatusCreated)
	if made.Name != "db-1" || !strings.HasPrefix(made.Token, "skd_") {
		t.Fatalf("got %+v", made)
	}
	e.call(t, http.MethodPost, "/v1/agent/poll", made.Token,
		`{"version":"1.2","commands":[{"name":"deploy","usage":"deploy VERSION","help":"h","open":true}]}`).want(t, http.StatusOK)
	list := as[agentapi.AgentList](t, e.call(t, http.MethodGet, "/v1/agents", e.reader, ""), http.StatusOK)
	if len(list.Agents) != 2 {
		t.Fatalf("got %+v", list)
	}
	db := list.Agents[0]
	if db.Name != "db-1" || !db.Online || db.LastSeenAt == nil || db.Version != "1.2" || len(db.Commands) != 1 || !db.Commands[0].Open {
		t.Errorf("got %+v", db)
	}
	if seen := as[agentapi.AgentList](t, e.call(t, http.MethodGet, "/v1/agents", e.ci, ""), http.StatusOK); len(seen.Agents) != 1 || seen.Agents[0].Name != "web-1" {
		t.Errorf("a push token sees %+v", seen)
	}
	e.clock.advance(time.Hour)
	if list := as[agentapi.AgentList](t, e.call(t, http.MethodGet, "/v1/agents", e.reader, ""), http.StatusOK); list.Agents[0].Online {
		t.Error("an hour later it is online")
	}

	if p := e.call(t, http.MethodPost, "/v1/agents", e.admin, `{"name":"db-1"}`).problem(t, agentapi.ProblemAgentExists); p.Field != "name" {
		t.Errorf("field %q", p.Field)
	}
	for _, name := range []string{"", "Db", "a b", "-x", "help", strings.Repeat("a", 64), "ä"} {
		if p := e.call(t, http.MethodPost, "/v1/agents", e.admin, encode(t, agentapi.NewAgent{Name: name})).problem(t, agentapi.ProblemInvalidValue); p.Field != "name" {
			t.Errorf("%q: field %q", name, p.Field)
		}
	}
	e.call(t, http.MethodPost, "/v1/agents", e.admin, `{"Name":"x"}`).problem(t, agentapi.ProblemUnknownField)
	e.call(t, http.MethodPost, "/v1/agents", e.admin, strings.Repeat(" ", 5000)).problem(t, agentapi.ProblemTooLarge)
}

func TestRotateToken(t *testing.T) {
	t.Parallel()
	e := setup(t)
	rotated := as[agentapi.AgentToken](t, e.call(t, http.MethodPost, "/v1/agents/web-1/token", e.admin, ""), http.StatusCreated)
	e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, "").problem(t, agentapi.ProblemBadToken)
	e.call(t, http.MethodPost, "/v1/agent/poll", rotated.Token, "").want(t, http.StatusOK)
	e.call(t, http.MethodPost, "/v1/agents/web-9/token", e.admin, "").problem(t, agentapi.ProblemUnknownAgent)
}

func TestRemovedAgent(t *testing.T) {
	t.Parallel()
	e := setup(t)
	j := e.push(t, "web-1", "m")
	waiting := e.push(t, "web-1", "m")
	taken := e.take(t, "")
	e.call(t, http.MethodDelete, "/v1/agents/web-1", e.admin, "").want(t, http.StatusNoContent)
	e.call(t, http.MethodDelete, "/v1/agents/web-1", e.admin, "").problem(t, agentapi.ProblemUnknownAgent)
	if got := e.job(t, waiting.ID); got.Status != "canceled" || got.Reason != "agent_removed" {
		t.Errorf("its waiting job is %+v", got)
	}
	for path, body := range map[string]string{
		"/v1/agent/poll":                         ``,
		"/v1/agent/starts":                       encode(t, agentapi.Starts{Starts: []agentapi.Hold{{ID: j.ID, Lease: taken.Lease}}}),
		"/v1/agent/jobs/" + taken.ID + "/output": encode(t, agentapi.Output{Lease: taken.Lease, Seq: 1}),
		"/v1/agent/jobs/" + taken.ID + "/result": encode(t, agentapi.Report{Lease: taken.Lease, Status: "failed"}),
		"/v1/agent/results":                      `{"results":[{"id":"` + taken.ID + `","lease":"l","status":"failed"}]}`,
		"/v1/agent/messages":                     encode(t, agentapi.Message{Job: taken.ID, Text: "hello"}),
	} {
		e.call(t, http.MethodPost, path, e.web1, body).problem(t, agentapi.ProblemAgentRemoved)
	}

	// Another one of the same name is another agent.
	again := as[agentapi.AgentToken](t, e.call(t, http.MethodPost, "/v1/agents", e.admin, `{"name":"web-1"}`), http.StatusCreated)
	e.call(t, http.MethodPost, "/v1/agent/poll", again.Token, "").want(t, http.StatusOK)
	e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, "").problem(t, agentapi.ProblemBadToken)

	records, err := e.auditor.List(t.Context(), job.DefaultSpace, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || records[0].Action != "agent.create" || records[1].Action != "agent.remove" || records[1].Who != "token:root" || !records[1].Allowed {
		t.Errorf("the audit log has %+v", records)
	}
}

func TestRemovalEndsAnOpenPoll(t *testing.T) {
	t.Parallel()
	e := setup(t)
	open := e.begin(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":55}`)
	e.waitForPoll(t)
	e.call(t, http.MethodDelete, "/v1/agents/web-1", e.admin, "").want(t, http.StatusNoContent)
	(<-open).problem(t, agentapi.ProblemAgentRemoved)
}
