package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// TestWithCurlAlone is the whole life of a job as a shell script with curl
// would live it: no wait, no confirm, no body where none is needed.
func TestWithCurlAlone(t *testing.T) {
	t.Parallel()
	e := setup(t)
	if body := e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, "").want(t, http.StatusOK); body != emptyPoll {
		t.Errorf("a poll that finds nothing: %s", body)
	}
	j := e.push(t, "web-1", "deploy v1")
	// curl -d sends a content type of forms; nobody has to know better.
	body := e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":20}`, "Content-Type", "application/x-www-form-urlencoded").want(t, http.StatusOK)
	if !strings.Contains(body, `"message":"deploy v1"`) {
		t.Fatalf("the poll brought %s", body)
	}
	lease := between(body, `"lease":"`, `"`)
	result := `{"lease":"` + lease + `","status":"succeeded","output":"done\n","exit_code":0}`
	got := as[agentapi.Job](t, e.call(t, http.MethodPost, "/v1/agent/jobs/"+j.ID+"/result", e.web1, result), http.StatusOK)
	if got.Status != "succeeded" || got.Result.Output != "done\n" || *got.Result.ExitCode != 0 || got.Attempt != 1 || got.SentAt == nil {
		t.Errorf("got %+v", got)
	}
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

func TestPollIsWoken(t *testing.T) {
	t.Parallel()
	e := setup(t)
	open := e.begin(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":55,"max":10}`)
	e.waitForPoll(t)
	j := e.push(t, "web-1", "m")
	a := as[agentapi.PollAnswer](t, <-open, http.StatusOK)
	if len(a.Jobs) != 1 || a.Jobs[0].ID != j.ID || a.Jobs[0].Code != j.Code || a.Jobs[0].Lease == "" || a.Jobs[0].DeadlineAt.IsZero() {
		t.Errorf("got %+v", a)
	}
	if want := (agentapi.Sender{Adapter: "token", ID: "root"}); a.Jobs[0].Sender != want {
		t.Errorf("sender is %+v", a.Jobs[0].Sender)
	}
}

func TestPollBadInput(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for _, tc := range []struct{ body, kind, field string }{
		{`{"wait_seconds":56}`, agentapi.ProblemInvalidValue, "wait_seconds"},
		{`{"wait_seconds":-1}`, agentapi.ProblemInvalidValue, "wait_seconds"},
		{`{"wait_seconds":9223372036854775807}`, agentapi.ProblemInvalidValue, "wait_seconds"},
		{`{"wait_seconds":1.5}`, agentapi.ProblemBadJSON, "wait_seconds"},
		{`{"wait_seconds":"10"}`, agentapi.ProblemBadJSON, "wait_seconds"},
		{`{"max":-1}`, agentapi.ProblemInvalidValue, "max"},
		{`{"max":1001}`, agentapi.ProblemInvalidValue, "max"},
		{`{"instance":"` + strings.Repeat("i", 65) + `"}`, agentapi.ProblemInvalidValue, "instance"},
		{`{`, agentapi.ProblemBadJSON, ""},
		{`max=1`, agentapi.ProblemBadJSON, ""},
		{strings.Repeat(" ", 1<<20+1), agentapi.ProblemTooLarge, ""},
	} {
		if p := e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, tc.body).problem(t, tc.kind); p.Field != tc.field {
			t.Errorf("%.40s: the field at fault is %q; want %q", tc.body, p.Field, tc.field)
		}
	}
	e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"max":0,"of_a_newer_agent":{"x":[1]}}`).want(t, http.StatusOK)
}

func TestSecondInstance(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"instance":"one"}`).want(t, http.StatusOK)
	e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"instance":"two"}`).problem(t, agentapi.ProblemOtherInstance)
	e.call(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"instance":"one"}`).want(t, http.StatusOK)
}

func TestConfirmedHandOver(t *testing.T) {
	t.Parallel()
	e := setup(t)
	j := e.push(t, "web-1", "m")
	offer := e.take(t, `{"confirm":true}`)
	if got := e.job(t, j.ID); got.Status != "queuing" {
		t.Fatalf("an offered job is %s", got.Status)
	}
	start := func(body string) answer { return e.call(t, http.MethodPost, "/v1/agent/starts", e.web1, body) }
	body := `{"starts":[{"id":"` + j.ID + `","lease":"` + offer.Lease + `"},{"id":"` + j.ID + `x","lease":"l"}]}`
	for range 2 {
		got := as[agentapi.Answers](t, start(body), http.StatusOK)
		if len(got.Answers) != 2 || got.Answers[0].Status != 200 || got.Answers[0].Job == nil || got.Answers[0].Job.Status != "sent" {
			t.Fatalf("got %+v", got)
		}
		if a := got.Answers[1]; a.Status != 404 || a.Problem == nil || a.Problem.Type != agentapi.ProblemUnknownJob {
			t.Errorf("got %+v", a)
		}
	}
	wrong := as[agentapi.Answers](t, start(`{"starts":[{"id":"`+j.ID+`","lease":"other"}]}`), http.StatusOK)
	if a := wrong.Answers[0]; a.Status != 409 || a.Problem.Type != agentapi.ProblemWrongLease || a.Problem.Job == nil {
		t.Errorf("with another lease: %+v", a)
	}
	start(`{"starts":[]}`).problem(t, agentapi.ProblemInvalidValue)
	start(`{"starts":{}}`).problem(t, agentapi.ProblemBadJSON)
	start(strings.Repeat(" ", 1<<20+1)).problem(t, agentapi.ProblemTooLarge)
}

func TestOutput(t *testing.T) {
	t.Parallel()
	e := setup(t)
	j := e.push(t, "web-1", "m")
	got := e.take(t, "")
	send := func(token, lease string, seq int64, text string) answer {
		return e.call(t, http.MethodPost, "/v1/agent/jobs/"+j.ID+"/output", token, encode(t, agentapi.Output{Lease: lease, Seq: seq, Text: text}))
	}
	send(e.web1, got.Lease, 1, "a").want(t, http.StatusNoContent)
	send(e.web1, got.Lease, 1, "a").want(t, http.StatusNoContent)
	if p := send(e.web1, got.Lease, 3, "c").problem(t, agentapi.ProblemOutputGap); p.Expected != 2 {
		t.Errorf("expected is %d; want 2", p.Expected)
	}
	send(e.web1, got.Lease, 2, "b").want(t, http.StatusNoContent)
	send(e.web1, got.Lease, 0, "b").problem(t, agentapi.ProblemInvalidValue)
	if p := send(e.web1, "other", 3, "c").problem(t, agentapi.ProblemWrongLease); p.Job == nil || p.Job.ID != j.ID {
		t.Errorf("got %+v", p)
	}
	send(e.agent(t, "db-1"), got.Lease, 3, "c").problem(t, agentapi.ProblemUnknownJob)
	e.call(t, http.MethodPost, "/v1/agent/jobs/"+j.ID+"/output", e.web1, `[]`).problem(t, agentapi.ProblemBadJSON)
	e.call(t, http.MethodPost, "/v1/agent/jobs/"+j.ID+"/output", e.web1, strings.Repeat(" ", 7<<20)).problem(t, agentapi.ProblemTooLarge)

	// Without an output of its own, the result has the streamed one. Bytes
	// that are no UTF-8 must not lose an agent its report.
	e.call(t, http.MethodPost, "/v1/agent/jobs/"+j.ID+"/output", e.web1,
		`{"lease":"`+got.Lease+`","seq":3,"text":"`+"\xff"+`"}`).want(t, http.StatusNoContent)
	done := as[agentapi.Job](t, e.call(t, http.MethodPost, "/v1/agent/jobs/"+j.ID+"/result", e.web1,
		encode(t, agentapi.Report{Lease: got.Lease, Status: "failed", ExitCode: ptr(3), Reason: "broken"})), http.StatusOK)
	if done.Result.Output != "ab\uFFFD" || done.Reason != "broken" || *done.Result.ExitCode != 3 {
		t.Errorf("got %+v %+v", done, done.Result)
	}
	if p := send(e.web1, got.Lease, 4, "d").problem(t, agentapi.ProblemJobFinal); p.Job == nil || p.Job.Status != "failed" {
		t.Errorf("got %+v", p)
	}
}

func TestResult(t *testing.T) {
	t.Parallel()
	e := setup(t)
	j := e.push(t, "web-1", "m")
	got := e.take(t, "")
	result := func(token string, r agentapi.Report) answer {
		return e.call(t, http.MethodPost, "/v1/agent/jobs/"+j.ID+"/result", token, encode(t, r))
	}
	if p := result(e.web1, agentapi.Report{Lease: got.Lease, Status: "done"}).problem(t, agentapi.ProblemInvalidValue); p.Field != "status" {
		t.Errorf("field %q", p.Field)
	}
	if p := result(e.web1, agentapi.Report{Status: "failed"}).problem(t, agentapi.ProblemInvalidValue); p.Field != "lease" {
		t.Errorf("field %q", p.Field)
	}
	if p := result(e.web1, agentapi.Report{Lease: got.Lease, Status: "failed", Reason: "Two Words"}).problem(t, agentapi.ProblemInvalidValue); p.Field != "reason" {
		t.Errorf("field %q", p.Field)
	}
	result(e.web1, agentapi.Report{Lease: got.Lease, Status: "canceled"}).problem(t, agentapi.ProblemConflict)
	result(e.web1, agentapi.Report{Lease: "other", Status: "failed"}).problem(t, agentapi.ProblemWrongLease)
	result(e.agent(t, "db-1"), agentapi.Report{Lease: got.Lease, Status: "failed"}).problem(t, agentapi.ProblemUnknownJob)
	e.call(t, http.MethodPost, "/v1/agent/jobs/nonsense/result", e.web1, encode(t, agentapi.Report{Lease: "l", Status: "failed"})).problem(t, agentapi.ProblemUnknownJob)
	e.call(t, http.MethodPost, "/v1/agent/jobs/"+j.ID+"/result", e.web1, `{"status":7}`).problem(t, agentapi.ProblemBadJSON)
	e.call(t, http.MethodPost, "/v1/agent/jobs/"+j.ID+"/result", e.web1, strings.Repeat(" ", 7<<20)).problem(t, agentapi.ProblemTooLarge)

	report := agentapi.Report{Lease: got.Lease, Status: "succeeded", Output: ptr("a")}
	for range 2 {
		if j := as[agentapi.Job](t, result(e.web1, report), http.StatusOK); j.Status != "succeeded" {
			t.Errorf("got %+v", j)
		}
	}
	report.Status = "failed"
	if p := result(e.web1, report).problem(t, agentapi.ProblemJobFinal); p.Job == nil || p.Job.Status != "succeeded" || len(p.Job.Late) != 1 {
		t.Errorf("a different result: %+v", p)
	}
}

func TestResultAfterExpiry(t *testing.T) {
	t.Parallel()
	e := setup(t)
	j := e.push(t, "web-1", "m")
	got := e.take(t, "")
	e.expire(t, j.ID)
	p := e.call(t, http.MethodPost, "/v1/agent/jobs/"+j.ID+"/result", e.web1,
		encode(t, agentapi.Report{Lease: got.Lease, Status: "succeeded", Output: ptr("late")})).problem(t, agentapi.ProblemJobFinal)
	if p.Job == nil || p.Job.Status != "expired" || p.Job.Reason != "no_result" || len(p.Job.Late) != 1 || p.Job.Late[0].Output != "late" {
		t.Errorf("got %+v", p.Job)
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.push(t, "web-1", "m")
	e.push(t, "web-1", "m")
	one, two := e.take(t, ""), e.take(t, "")
	body := encode(t, agentapi.Reports{Results: []agentapi.IdentifiedReport{
		{ID: one.ID, Report: agentapi.Report{Lease: one.Lease, Status: "succeeded"}},
		{ID: two.ID, Report: agentapi.Report{Lease: two.Lease, Status: "nonsense"}},
		{ID: "nobody's", Report: agentapi.Report{Lease: two.Lease, Status: "failed"}},
		{ID: two.ID + "x", Report: agentapi.Report{Lease: two.Lease, Status: "failed"}},
	}})
	got := as[agentapi.Answers](t, e.call(t, http.MethodPost, "/v1/agent/results", e.web1, body), http.StatusOK)
	for i, want := range []int{200, 422, 404, 404} {
		a := got.Answers[i]
		if a.Status != want || (a.Problem == nil) != (want == 200) || a.Job != nil {
			t.Errorf("answer %d: %+v; want %d", i, a, want)
		}
	}
	e.call(t, http.MethodPost, "/v1/agent/results", e.web1, `{"results":[]}`).problem(t, agentapi.ProblemInvalidValue)
	e.call(t, http.MethodPost, "/v1/agent/results", e.web1, `{"results":7}`).problem(t, agentapi.ProblemBadJSON)
	e.call(t, http.MethodPost, "/v1/agent/results", e.web1, strings.Repeat(" ", defaultBodyBytes+1)).problem(t, agentapi.ProblemTooLarge)
}

func TestMessages(t *testing.T) {
	t.Parallel()
	e := setup(t)
	ref := &chat.ConversationRef{Account: "terminal", Key: "k"}
	created, err := e.jobs.Create(t.Context(), []job.Entry{{Draft: &job.Draft{
		Space: job.DefaultSpace, Agent: "web-1", Message: "m", Sender: chat.Sender{Account: "terminal", User: "ada"}, Conversation: ref,
	}}})
	if err != nil || created[0].Err != nil {
		t.Fatal(err, created[0].Err)
	}
	id := created[0].Job.ID
	say := func(token string, m agentapi.Message) answer {
		return e.call(t, http.MethodPost, "/v1/agent/messages", token, encode(t, m))
	}
	ev := as[agentapi.Event](t, say(e.web1, agentapi.Message{Job: id, Text: "disk is full"}), http.StatusCreated)
	if ev.Kind != "EventMessage" || ev.Job != id || ev.Text != "disk is full" || ev.By != "web-1" || ev.Agent != "web-1" || ev.ID == "" {
		t.Errorf("got %+v", ev)
	}
	stored, err := e.db.Unpublished(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if last := stored[len(stored)-1]; last.Kind != job.EventMessage || last.Conversation == nil || last.Conversation.Key != "k" || last.Text != "disk is full" {
		t.Errorf("the outbox has %+v", last)
	}

	say(e.agent(t, "db-1"), agentapi.Message{Job: id, Text: "x"}).problem(t, agentapi.ProblemUnknownJob)
	say(e.web1, agentapi.Message{Job: "nonsense", Text: "x"}).problem(t, agentapi.ProblemUnknownJob)
	say(e.web1, agentapi.Message{Channel: "ops", Text: "x"}).problem(t, agentapi.ProblemChannelNotAllowed)
	for _, m := range []agentapi.Message{
		{Text: "x"},
		{Job: id, Text: " \n"},
		{Job: id, Text: "a\x00b"},
		{Job: id, Text: strings.Repeat("x", e.jobs.Limits().MessageBytes+1)},
	} {
		say(e.web1, m).problem(t, agentapi.ProblemInvalidValue)
	}
	e.call(t, http.MethodPost, "/v1/agent/messages", e.web1, "x").problem(t, agentapi.ProblemBadJSON)
	e.call(t, http.MethodPost, "/v1/agent/messages", e.web1, strings.Repeat(" ", 500_000)).problem(t, agentapi.ProblemTooLarge)
}

func TestPollEndsWhenTheCallerLeaves(t *testing.T) {
	t.Parallel()
	e := setup(t)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := e.send(ctx, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":55}`)
		gone <- err
	}()
	e.waitForPoll(t)
	leave()
	if err := <-gone; err == nil {
		t.Error("the poll was answered")
	}
	watched(t, e.waker.ended, job.WakeAgent(job.DefaultSpace, "web-1"))
	// The job that comes now waits for a poll that lives.
	j := e.push(t, "web-1", "m")
	if got := e.job(t, j.ID); got.Status != "queuing" {
		t.Errorf("a poll that nobody reads took the job: %+v", got)
	}
	e.take(t, "")
}
