package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

func TestPush(t *testing.T) {
	t.Parallel()
	e := setup(t)
	a := e.call(t, http.MethodPost, "/v1/jobs", e.ci, `{"agent":"web-1","message":"deploy v1.2.3"}`)
	j := as[agentapi.Job](t, a, http.StatusCreated)
	if j.Status != "queuing" || j.Agent != "web-1" || j.Message != "deploy v1.2.3" || j.Code == "" || j.DeadlineAt == nil {
		t.Errorf("got %s", a.body)
	}
	if want := (agentapi.Sender{Adapter: "token", ID: "ci"}); j.Sender != want {
		t.Errorf("sender is %+v; want %+v", j.Sender, want)
	}
	if a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", a.header)
	}
	if got := e.job(t, j.ID); got.Message != j.Message {
		t.Errorf("it is stored as %+v", got)
	}
	if got := e.job(t, j.Code); got.ID != j.ID {
		t.Errorf("by its code it is %+v", got)
	}
}

func TestPushMessageIsVerbatim(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for _, message := range []string{" a  b ", "two\nlines\r\n", "<b>&amp;\u2028", "😀 \"quoted\" \\", "\x1b[0m\x01"} {
		j := e.push(t, "web-1", message)
		if got := e.take(t, ""); got.Message != message || j.Message != message {
			t.Errorf("%q reached the agent as %q", message, got.Message)
		}
	}
}

func TestPushBadInput(t *testing.T) {
	t.Parallel()
	e := setup(t)
	limit := e.jobs.Limits().MessageBytes
	big := strings.Repeat("x", limit+1)
	for _, tc := range []struct {
		name, body  string
		kind, field string
		headers     []string
		query       string
	}{
		{name: "not JSON", body: `agent=web-1`, kind: agentapi.ProblemBadJSON},
		{name: "no body", kind: agentapi.ProblemBadJSON},
		{name: "something after it", body: `{"agent":"web-1","message":"m"}x`, kind: agentapi.ProblemBadJSON},
		{name: "too large", body: `{"agent":"web-1","message":"` + strings.Repeat("x", jsonGrowth*limit+8192) + `"}`, kind: agentapi.ProblemTooLarge},
		{name: "unknown field", body: `{"agent":"web-1","message":"m","urgent":true}`, kind: agentapi.ProblemUnknownField, field: "urgent"},
		{name: "a field twice", body: `{"agent":"web-1","message":"m","message":"n"}`, kind: agentapi.ProblemBadJSON, field: "message"},
		{name: "no agent", body: `{"message":"m"}`, kind: agentapi.ProblemInvalidValue, field: "agent"},
		{name: "unknown agent", body: `{"agent":"web-9","message":"m"}`, kind: agentapi.ProblemUnknownAgent, field: "agent"},
		{name: "no agent's name", body: `{"agent":"Web 1!","message":"m"}`, kind: agentapi.ProblemUnknownAgent, field: "agent"},
		{name: "no message", body: `{"agent":"web-1"}`, kind: agentapi.ProblemInvalidValue, field: "message"},
		{name: "blank message", body: `{"agent":"web-1","message":" \n"}`, kind: agentapi.ProblemInvalidValue, field: "message"},
		{name: "message over the limit", body: `{"agent":"web-1","message":"` + big + `"}`, kind: agentapi.ProblemInvalidValue, field: "message"},
		{name: "broken UTF-8", body: "{\"agent\":\"web-1\",\"message\":\"\xc3(\"}", kind: agentapi.ProblemBadJSON, field: "message"},
		{name: "half a surrogate pair", body: `{"agent":"web-1","message":"\ud83d"}`, kind: agentapi.ProblemBadJSON},
		{name: "NUL", body: `{"agent":"web-1","message":"a\u0000b"}`, kind: agentapi.ProblemInvalidValue, field: "message"},
		{name: "callback", body: `{"agent":"web-1","message":"m","callback_url":"https://x.example"}`, kind: agentapi.ProblemCallbacksOff, field: "callback_url"},
		{name: "wait without a unit", query: "?wait=30", kind: agentapi.ProblemBadParameter, field: "wait"},
		{name: "negative wait", query: "?wait=-1s", kind: agentapi.ProblemBadParameter, field: "wait"},
		{name: "endless wait", query: "?wait=11m", kind: agentapi.ProblemBadParameter, field: "wait"},
		{name: "empty wait", query: "?wait=", kind: agentapi.ProblemBadParameter, field: "wait"},
		{name: "two waits", query: "?wait=1s&wait=2s", kind: agentapi.ProblemBadParameter, field: "wait"},
		{name: "key with a space", headers: []string{"Idempotency-Key", "a b"}, kind: agentapi.ProblemBadParameter, field: "Idempotency-Key"},
		{name: "empty key", headers: []string{"Idempotency-Key", ""}, kind: agentapi.ProblemBadParameter, field: "Idempotency-Key"},
		{name: "long key", headers: []string{"Idempotency-Key", strings.Repeat("k", 256)}, kind: agentapi.ProblemBadParameter, field: "Idempotency-Key"},
		{name: "two keys", headers: []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, kind: agentapi.ProblemBadParameter, field: "Idempotency-Key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			body := tc.body
			if tc.query != "" || tc.headers != nil {
				body = `{"agent":"web-1","message":"m"}`
			}
			p := e.call(t, http.MethodPost, "/v1/jobs"+tc.query, e.admin, body, tc.headers...).problem(t, tc.kind)
			if p.Field != tc.field {
				t.Errorf("the field at fault is %q (%s); want %q", p.Field, p.Detail, tc.field)
			}
		})
	}
	t.Cleanup(func() {
		jobs, err := e.jobs.Jobs(context.Background(), job.Filter{Space: job.DefaultSpace, Limit: 10})
		if err != nil || len(jobs) != 0 {
			t.Errorf("%d jobs were made of bad input, %v", len(jobs), err)
		}
	})
}

func TestPushTooLargeWithoutLength(t *testing.T) {
	t.Parallel()
	e := setup(t, func(c *Config) { c.BodyBytes = 1000 })
	pr, pw := newBody(`{"agent":"web-1","message":"` + strings.Repeat("x", 2000) + `"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/v1/jobs", pr)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.admin)
	res, err := e.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	<-pw
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %s", res.Status)
	}
}

func TestPushToOfflineAgent(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.clock.advance(time.Hour)
	j := e.push(t, "web-1", "m")
	if j.Status != "expired" || j.Reason != "agent_offline" || j.FinishedAt == nil || j.DeadlineAt != nil {
		t.Errorf("got %+v", j)
	}
}

func TestPushWaits(t *testing.T) {
	t.Parallel()
	e := setup(t)
	answers := e.begin(t, http.MethodPost, "/v1/jobs?wait=5m", e.admin, `{"agent":"web-1","message":"m"}`)
	got := e.take(t, `{"wait_seconds":55}`)
	e.call(t, http.MethodPost, "/v1/agent/jobs/"+got.ID+"/result", e.web1,
		encode(t, agentapi.Report{Lease: got.Lease, Status: "succeeded", Output: ptr("done")})).want(t, http.StatusOK)
	j := as[agentapi.Job](t, <-answers, http.StatusCreated)
	if j.Status != "succeeded" || j.Result == nil || j.Result.Output != "done" {
		t.Errorf("got %+v", j)
	}

	over := as[agentapi.Job](t, e.call(t, http.MethodPost, "/v1/jobs?wait=1ms", e.admin, `{"agent":"web-1","message":"m"}`), http.StatusCreated)
	if over.Status != "queuing" {
		t.Errorf("when the wait was over: %+v", over)
	}
	again := as[agentapi.Job](t, e.call(t, http.MethodGet, "/v1/jobs/"+over.ID+"?wait=1ms", e.admin, ""), http.StatusOK)
	if again.Status != "queuing" {
		t.Errorf("asked again: %+v", again)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	e := setup(t)
	push := func(token, key, body string) answer {
		return e.call(t, http.MethodPost, "/v1/jobs", token, body, "Idempotency-Key", key)
	}
	const body = `{"agent":"web-1","message":"deploy v1"}`
	first := as[agentapi.Job](t, push(e.ci, "k1", body), http.StatusCreated)
	again := as[agentapi.Job](t, push(e.ci, "k1", ` {"message":"deploy v1", "agent":"web-1"}`), http.StatusOK)
	if again.ID != first.ID {
		t.Errorf("the repetition is %s; want %s", again.ID, first.ID)
	}
	push(e.ci, "k1", `{"agent":"web-1","message":"deploy v2"}`).problem(t, agentapi.ProblemKeyReused)
	if other := as[agentapi.Job](t, push(e.admin, "k1", body), http.StatusCreated); other.ID == first.ID {
		t.Error("another token's key is the same")
	}
	if other := as[agentapi.Job](t, push(e.ci, "k2", body), http.StatusCreated); other.ID == first.ID {
		t.Error("another key made no job of its own")
	}
}

func TestPushBatch(t *testing.T) {
	t.Parallel()
	e := setup(t)
	batch := func(token, body string, headers ...string) answer {
		return e.call(t, http.MethodPost, "/v1/jobs/batch", token, body, headers...)
	}
	const mixed = `{"jobs":[{"agent":"web-1","message":"status"},{"agent":"db-1","message":"status"},
		{"agent":"web-1","message":""},{"agent":"web-7","message":"status"},{"agent":"web-1","message":"deploy v2"}]}`
	got := as[agentapi.BatchAnswer](t, batch(e.ci, mixed, "Idempotency-Key", "b"), http.StatusOK)
	if len(got.Jobs) != 5 {
		t.Fatalf("%d answers; want 5", len(got.Jobs))
	}
	for i, want := range []string{"", agentapi.ProblemNotAllowed, agentapi.ProblemInvalidValue, agentapi.ProblemUnknownAgent, ""} {
		switch a := got.Jobs[i]; {
		case want == "" && (a.Job == nil || a.Problem != nil):
			t.Errorf("entry %d: %+v; want a job", i, a)
		case want != "" && (a.Problem == nil || a.Job != nil || a.Problem.Type != want):
			t.Errorf("entry %d: %+v; want %s", i, a, want)
		}
	}
	again := as[agentapi.BatchAnswer](t, batch(e.ci, mixed, "Idempotency-Key", "b"), http.StatusOK)
	if again.Jobs[0].Job.ID != got.Jobs[0].Job.ID || again.Jobs[4].Job.ID != got.Jobs[4].Job.ID {
		t.Error("a repeated batch made new jobs")
	}

	if p := batch(e.admin, `{"jobs":[]}`).problem(t, agentapi.ProblemInvalidValue); p.Field != "jobs" {
		t.Errorf("field %q", p.Field)
	}
	entry := `{"agent":"web-1","message":"status"}`
	many := `{"jobs":[` + entry + strings.Repeat(","+entry, maxBatch) + `]}`
	batch(e.admin, many).problem(t, agentapi.ProblemInvalidValue)
	full := `{"jobs":[` + entry + strings.Repeat(","+entry, maxBatch-1) + `]}`
	if all := as[agentapi.BatchAnswer](t, batch(e.admin, full), http.StatusOK); len(all.Jobs) != maxBatch {
		t.Errorf("%d answers; want %d", len(all.Jobs), maxBatch)
	}
	batch(e.admin, `{"jobs":[`+entry+`],"more":1}`).problem(t, agentapi.ProblemUnknownField)
	batch(e.admin, `{"jobs":[{"agent":"web-1","text":"x"}]}`).problem(t, agentapi.ProblemUnknownField)
	batch(e.admin, strings.Repeat(" ", defaultBodyBytes+1)).problem(t, agentapi.ProblemTooLarge)
}

func TestPushIsDecidedByRules(t *testing.T) {
	t.Parallel()
	e := setup(t)
	push := func(agent, message string) answer {
		return e.call(t, http.MethodPost, "/v1/jobs", e.ci, encode(t, agentapi.Push{Agent: agent, Message: message}))
	}
	p := push("web-1", "reboot").problem(t, agentapi.ProblemNotAllowed)
	if !strings.Contains(p.Rule, `no rule lets token:ci send "reboot" to web-1`) || !strings.Contains(p.Rule, "rules[") {
		t.Errorf("the missing rule is %q", p.Rule)
	}
	// Of agents that it may not see, it learns nothing, not even whether they
	// exist.
	e.agent(t, "db-1")
	known, unknown := push("db-1", "status"), push("db-2", "status")
	for _, a := range []answer{known, unknown} {
		if p := a.problem(t, agentapi.ProblemNotAllowed); strings.Contains(p.Rule, "rules[") {
			t.Errorf("the answer tells of rules: %s", p.Rule)
		}
	}
	records, err := e.auditor.List(t.Context(), job.DefaultSpace, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 3 || records[2].Who != "token:ci" || records[2].Text != "reboot" || records[2].Target != "web-1" || records[2].Allowed {
		t.Errorf("the audit log has %+v", records)
	}
	if !strings.Contains(p.Detail, records[2].Code) {
		t.Errorf("%q does not name the record %s", p.Detail, records[2].Code)
	}
	// A key that was used before hides no other attempt from the log.
	for _, message := range []string{"a", "a", "b"} {
		e.call(t, http.MethodPost, "/v1/jobs", e.ci, encode(t, agentapi.Push{Agent: "web-1", Message: message}),
			"Idempotency-Key", "k").problem(t, agentapi.ProblemNotAllowed)
	}
	records, err = e.auditor.List(t.Context(), job.DefaultSpace, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 5 || records[0].Text != "b" || records[1].Text != "a" {
		t.Errorf("the audit log has %+v", records)
	}
	if j := as[agentapi.Job](t, push("web-1", "wipe"), http.StatusCreated); j.Approval != "waiting" || j.Status != "queuing" {
		t.Errorf("what needs an approval is %+v", j)
	}
}

func TestSpacesAreApart(t *testing.T) {
	t.Parallel()
	e := setup(t)
	j := e.push(t, "web-1", "m")
	other := e.tokenIn(t, "elsewhere", "root", access.RoleAdmin)
	e.call(t, http.MethodGet, "/v1/jobs/"+j.ID, other, "").problem(t, agentapi.ProblemUnknownJob)
	e.call(t, http.MethodGet, "/v1/jobs/"+j.Code, other, "").problem(t, agentapi.ProblemUnknownJob)
	e.call(t, http.MethodPost, "/v1/jobs/"+j.ID+"/cancel", other, "").problem(t, agentapi.ProblemUnknownJob)
	e.call(t, http.MethodPost, "/v1/jobs", other, `{"agent":"web-1","message":"m"}`).problem(t, agentapi.ProblemUnknownAgent)
	e.call(t, http.MethodDelete, "/v1/agents/web-1", other, "").problem(t, agentapi.ProblemUnknownAgent)
	if l := as[agentapi.JobList](t, e.call(t, http.MethodGet, "/v1/jobs", other, ""), http.StatusOK); len(l.Jobs) != 0 {
		t.Errorf("another space lists %+v", l.Jobs)
	}
	if l := as[agentapi.AgentList](t, e.call(t, http.MethodGet, "/v1/agents", other, ""), http.StatusOK); len(l.Agents) != 0 {
		t.Errorf("another space lists %+v", l.Agents)
	}
}

func TestStoreFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		kind string
	}{
		{fmt.Errorf("write: %w", job.ErrFull), agentapi.ProblemDiskFull},
		{fmt.Errorf("write: %w", job.ErrUnavailable), agentapi.ProblemUnavailable},
		{context.DeadlineExceeded, agentapi.ProblemUnavailable},
		{fmt.Errorf("secret /var/lib path"), agentapi.ProblemInternal},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			t.Parallel()
			e := setup(t)
			e.store.fail(tc.err)
			for _, a := range []answer{
				e.call(t, http.MethodPost, "/v1/jobs", e.admin, `{"agent":"web-1","message":"m"}`),
				e.call(t, http.MethodPost, "/v1/jobs/batch", e.admin, `{"jobs":[{"agent":"web-1","message":"m"}]}`),
				e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, ""),
				e.call(t, http.MethodPost, "/v1/agent/results", e.web1, `{"results":[{"id":"x","lease":"l","status":"failed"}]}`),
			} {
				p := a.problem(t, tc.kind)
				if strings.Contains(a.body, "/var/lib") {
					t.Errorf("%s tells what is only for the log", a.body)
				}
				if (a.header.Get("Retry-After") != "") != (p.Status == http.StatusServiceUnavailable) {
					t.Errorf("%s: Retry-After %q", a.body, a.header.Get("Retry-After"))
				}
				if !strings.Contains(e.logged.String(), p.RequestID) {
					t.Errorf("the log does not have request %s", p.RequestID)
				}
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }
