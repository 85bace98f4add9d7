package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	broken := errors.New("dial tcp 10.0.0.7: refused")
	state := map[string]error{"database": nil, "queue": nil}
	check := func(part string) func(context.Context) error {
		return func(context.Context) error { return state[part] }
	}
	e := setup(t, func(c *Config) {
		c.Ready = Checks(map[string]func(context.Context) error{"database": check("database"), "queue": check("queue")})
	})
	if body := e.call(t, http.MethodGet, "/healthz", "", "").want(t, http.StatusOK); body != "{\"status\":\"ok\"}\n" {
		t.Errorf("healthz says %s", body)
	}
	if body := e.call(t, http.MethodGet, "/readyz", "", "").want(t, http.StatusOK); body != "{\"status\":\"ready\"}\n" {
		t.Errorf("readyz says %s", body)
	}
	state["queue"] = broken
	a := e.call(t, http.MethodGet, "/readyz", "", "")
	if p := a.problem(t, agentapi.ProblemNotReady); p.Detail != "not working: queue" {
		t.Errorf("readyz says %q", p.Detail)
	}
	if a.header.Get("Retry-After") == "" || !strings.Contains(e.logged.String(), "10.0.0.7") {
		t.Errorf("headers %v; log %s", a.header, e.logged)
	}
	e.call(t, http.MethodGet, "/healthz", "", "").want(t, http.StatusOK)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.call(t, http.MethodGet, "/v1/jobs", e.admin, "").want(t, http.StatusOK)
	e.call(t, http.MethodGet, "/v1/jobs", "skd_wrong", "").problem(t, agentapi.ProblemBadToken)
	body := e.call(t, http.MethodGet, "/metrics", "", "").want(t, http.StatusOK)
	for _, want := range []string{
		`skadi_http_requests_total{method="GET",route="/v1/jobs",status="200"} 1`,
		`skadi_http_requests_total{method="GET",route="/v1/jobs",status="401"} 1`,
		"skadi_http_failed_logins_total 1", "go_goroutines",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("there is no %s", want)
		}
	}
	apart := setup(t, func(c *Config) { c.MetricsElsewhere = true })
	apart.call(t, http.MethodGet, "/metrics", "", "").problem(t, agentapi.ProblemNotFound)
	if w := record(apart.api.Metrics(), "127.0.0.1:1", "/"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "skadi_http_requests_total") {
		t.Errorf("elsewhere: %d", w.Code)
	}
}

func TestUnrouted(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for _, path := range []string{"/", "/v1", "/v2/jobs", "/v1/jobs/", "/v1/jobs/a/b/c", "/adapters", "/adapters/nobody/x"} {
		e.call(t, http.MethodGet, path, "", "").problem(t, agentapi.ProblemNotFound)
	}
	a := e.call(t, http.MethodPut, "/v1/jobs", e.admin, "{}")
	a.problem(t, agentapi.ProblemMethodNotAllowed)
	if allow := a.header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "POST") {
		t.Errorf("Allow is %q", allow)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	e := setup(t)
	id := func(headers ...string) string {
		t.Helper()
		return e.call(t, http.MethodGet, "/v1/jobs", "", "", headers...).problem(t, agentapi.ProblemNoToken).RequestID
	}
	if got := id("X-Request-Id", "build-42_a.b"); got != "build-42_a.b" {
		t.Errorf("a sane ID became %q", got)
	}
	for _, bad := range []string{"", "a b", "a\"b", "ä", strings.Repeat("x", 65)} {
		if got := id("X-Request-Id", bad); got == bad || len(got) != 16 {
			t.Errorf("%q became %q", bad, got)
		}
	}
	if got := id("X-Request-Id", "a", "X-Request-Id", "b"); len(got) != 16 {
		t.Errorf("two IDs became %q", got)
	}
	if one, two := id(), id(); one == two {
		t.Errorf("two requests have the ID %s", one)
	}
	if !strings.Contains(e.logged.String(), "request_id=build-42_a.b") {
		t.Error("the log does not have the ID")
	}
}

func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.store.panics.Store(true)
	p := e.call(t, http.MethodGet, "/v1/jobs/x", e.admin, "").problem(t, agentapi.ProblemInternal)
	if strings.Contains(p.Detail, "mistake in the store") {
		t.Errorf("the detail tells what is only for the log: %q", p.Detail)
	}
	if log := e.logged.String(); !strings.Contains(log, "a mistake in the store") || !strings.Contains(log, p.RequestID) || !strings.Contains(log, "env_test.go") {
		t.Error("the log lacks the panic, its place or the request ID")
	}
	e.call(t, http.MethodGet, "/v1/jobs", e.admin, "").want(t, http.StatusOK)
}

// mounts are handlers that stay.
func mounts(all map[string]http.Handler) func(string) (http.Handler, bool) {
	return func(account string) (http.Handler, bool) {
		h, ok := all[account]
		return h, ok
	}
}

func TestMounts(t *testing.T) {
	t.Parallel()
	e := setup(t, func(c *Config) {
		c.Mount = mounts(map[string]http.Handler{
			"hook": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					return
				}
				_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" "+r.URL.RawQuery+" "+string(body))
			}),
			"broken": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half an ans")
				panic("a mistake in an adapter")
			}),
		})
		c.BodyBytes = 1000
	})
	for path, want := range map[string]string{
		"/adapters/hook/events?a=b": "POST /events a=b x",
		"/adapters/hook/":           "POST /  x",
		"/adapters/hook/a/b":        "POST /a/b  x",
	} {
		if got := e.call(t, http.MethodPost, path, "", "x").want(t, http.StatusOK); got != want {
			t.Errorf("%s: the adapter saw %q; want %q", path, got, want)
		}
	}
	e.call(t, http.MethodPost, "/adapters/hook/x", "", strings.Repeat("x", 1001)).want(t, http.StatusRequestEntityTooLarge)
	e.call(t, http.MethodPost, "/adapters/other/x", "", "x").problem(t, agentapi.ProblemNotFound)
	if _, err := e.send(t.Context(), http.MethodGet, "/adapters/broken/x", "", ""); err == nil {
		t.Error("half an answer was taken for a whole one")
	}
	if !strings.Contains(e.logged.String(), "a mistake in an adapter") {
		t.Error("the panic is not in the log")
	}
}

// TestBodyTimeout sends half a body and then nothing.
func TestBodyTimeout(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.api.bodyTime = 20 * time.Millisecond
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+e.admin+"\r\nContent-Length: 100\r\n\r\n{\"agent\":")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), agentapi.ProblemBodyTimeout) {
		t.Errorf("got %q, %v", answer, err)
	}
}

// TestBodyTimeoutEndsWithTheBody holds that the time for a body does not cut
// the wait after it short.
func TestBodyTimeoutEndsWithTheBody(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.api.bodyTime = 20 * time.Millisecond
	open := e.begin(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":1}`)
	as[agentapi.PollAnswer](t, <-open, http.StatusOK)
}

// TestStopAnswersWaitingCalls stops a server on which an agent and a CI
// system wait and a stream is open: all are answered at once.
func TestStopAnswersWaitingCalls(t *testing.T) {
	t.Parallel()
	e := setup(t)
	s := listen(t, ListenConfig{Addr: "127.0.0.1:0", Grace: time.Minute})
	stop := start(t, s, e.api.Handler())
	e.url = s.URL()

	j := e.push(t, "web-1", "m")
	a := e.take(t, "")
	poll := e.begin(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":55}`)
	e.waitForPoll(t)
	wait := e.begin(t, http.MethodGet, "/v1/jobs/"+j.ID+"?wait=10m", e.admin, "")
	watched(t, e.waker.begun, job.WakeJob(j.ID))
	stream := e.open(t, "/v1/jobs/"+j.ID+"/output", e.admin)
	happenings := e.open(t, "/v1/events", e.admin)

	stop()
	if got := as[agentapi.PollAnswer](t, <-poll, http.StatusOK); len(got.Jobs) != 0 {
		t.Errorf("the poll got %+v", got)
	}
	if got := as[agentapi.Job](t, <-wait, http.StatusOK); got.Status != "sent" || got.ID != a.ID {
		t.Errorf("the wait got %+v", got)
	}
	stream.end()
	happenings.end()
}
