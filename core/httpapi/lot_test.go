package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

// parking serves the env by Server, which parks every poll that waits.
func parking(t *testing.T, change ...func(*Config)) (e *env, s *Server, stop func()) {
	t.Helper()
	e = setup(t, change...)
	e.api.parkAfter = time.Millisecond
	s = listen(t, ListenConfig{Addr: "127.0.0.1:0", Grace: time.Minute})
	e.url = s.URL()
	return e, s, start(t, s, e.api.Handler())
}

// waitForParked returns once web-1 waits in a poll that was parked.
func (e *env) waitForParked(t *testing.T) {
	t.Helper()
	e.waitForPoll(t)
	watched(t, e.waker.ended, job.WakeAgent(job.DefaultSpace, "web-1"))
	e.waitForPoll(t)
}

// emptyPoll is the answer to a poll for which there was nothing.
const emptyPoll = `{"jobs":[],"cancel":[]}` + "\n"

// raw is one connection that a test writes requests to by hand.
type raw struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, s *Server) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &raw{t: t, conn: conn, r: bufio.NewReader(conn)}
}

func pollText(token string, seconds int, headers ...string) string {
	body := fmt.Sprintf(`{"wait_seconds":%d}`, seconds)
	head := "POST /v1/agent/poll HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n"
	for _, h := range headers {
		head += h + "\r\n"
	}
	return head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

func (r *raw) write(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r.conn, text); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) read() answer {
	r.t.Helper()
	res, err := http.ReadResponse(r.r, nil) //nolint:bodyclose // readAnswer does
	if err != nil {
		r.t.Fatal(err)
	}
	return readAnswer(r.t, res)
}

func (r *raw) ended() {
	r.t.Helper()
	if b, err := r.r.ReadByte(); err == nil {
		r.t.Fatalf("the connection brought %q; want its end", b)
	}
}

// TestParkedConnectionGoesOn makes several calls on one connection, of which
// some are parked.
func TestParkedConnectionGoesOn(t *testing.T) {
	t.Parallel()
	e, s, _ := parking(t)
	c := dial(t, s)
	for range 3 {
		c.write(pollText(e.web1, 55, "X-Request-Id: mine"))
		e.waitForParked(t)
		j := e.push(t, "web-1", "m")
		res := c.read()
		if a := as[agentapi.PollAnswer](t, res, http.StatusOK); len(a.Jobs) != 1 || a.Jobs[0].ID != j.ID {
			t.Fatalf("got %+v", a)
		}
		for name, want := range map[string]string{
			"X-Request-Id": "mine", "Content-Type": "application/json", "Cache-Control": "no-store", "Content-Length": fmt.Sprint(len(res.body)),
		} {
			if got := res.header.Get(name); got != want {
				t.Errorf("%s is %q; want %q", name, got, want)
			}
		}
		if _, err := http.ParseTime(res.header.Get("Date")); err != nil {
			t.Error(err)
		}
		// A call that is not parked, on the same connection.
		c.write(pollText(e.web1, 0))
		if body := c.read().want(t, http.StatusOK); body != emptyPoll {
			t.Errorf("then: %s", body)
		}
	}
	if log := e.logged.String(); !strings.Contains(log, "request_id=mine") {
		t.Error("parked calls are not in the log")
	}
}

func TestParkedCallsArePipelined(t *testing.T) {
	t.Parallel()
	e, s, _ := parking(t)
	c := dial(t, s)
	c.write(pollText(e.web1, 55))
	e.waitForParked(t)
	c.write(pollText(e.web1, 0) + pollText(e.web1, 0))
	e.push(t, "web-1", "one")
	for _, want := range []string{`"message":"one"`, `"jobs":[]`, `"jobs":[]`} {
		if body := c.read().want(t, http.StatusOK); !strings.Contains(body, want) {
			t.Errorf("got %s; want %s", body, want)
		}
	}
}

func TestParkedWaitIsOver(t *testing.T) {
	t.Parallel()
	e, s, _ := parking(t)
	c := dial(t, s)
	c.write(pollText(e.web1, 1, "Connection: close"))
	if a := c.read(); a.want(t, http.StatusOK) != emptyPoll || !a.last {
		t.Errorf("got %+v", a)
	}
	c.ended()
}

func TestParkedCallerLeaves(t *testing.T) {
	t.Parallel()
	e, s, _ := parking(t)
	c := dial(t, s)
	c.write(pollText(e.web1, 55))
	e.waitForParked(t)
	_ = c.conn.Close()
	watched(t, e.waker.ended, job.WakeAgent(job.DefaultSpace, "web-1"))
	j := e.push(t, "web-1", "m")
	if got := e.job(t, j.ID); got.Status != "queuing" {
		t.Errorf("a poll that nobody reads took the job: %+v", got)
	}
}

func TestParkedAgentIsRemoved(t *testing.T) {
	t.Parallel()
	e, _, _ := parking(t)
	open := e.begin(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":55}`)
	e.waitForParked(t)
	e.call(t, http.MethodDelete, "/v1/agents/web-1", e.admin, "").want(t, http.StatusNoContent)
	(<-open).problem(t, agentapi.ProblemAgentRemoved)
}

func TestParkedPanic(t *testing.T) {
	t.Parallel()
	e, _, _ := parking(t)
	open := e.begin(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":55}`)
	e.waitForParked(t)
	e.store.panicUpdate.Store(true)
	e.push(t, "web-1", "m")
	(<-open).problem(t, agentapi.ProblemInternal)
	if !strings.Contains(e.logged.String(), "a mistake in the store") {
		t.Error("the panic is not in the log")
	}
	e.take(t, "") // the connection and the agent go on
}

func TestStopAnswersParkedCalls(t *testing.T) {
	t.Parallel()
	e, s, stop := parking(t)
	waiting, idle := dial(t, s), dial(t, s)
	idle.write(pollText(e.web1, 55))
	e.waitForParked(t)
	e.push(t, "web-1", "m")
	idle.read().want(t, http.StatusOK)
	waiting.write(pollText(e.web1, 55))
	e.waitForParked(t)
	stop()
	if a := waiting.read(); a.want(t, http.StatusOK) != emptyPoll || !a.last {
		t.Errorf("got %+v", a)
	}
	waiting.ended()
	idle.ended()
}

// TestParkedOverTLS parks connections that speak TLS, and leaves alone those
// that speak HTTP/2.
func TestParkedOverTLS(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			e := setup(t)
			e.api.parkAfter = time.Millisecond
			cert, key := writeCert(t, t.TempDir(), "one")
			s := listen(t, ListenConfig{Addr: "127.0.0.1:0", Cert: cert, Key: key, Grace: time.Minute})
			start(t, s, e.api.Handler())
			e.url, e.client = s.URL(), tlsClient(t, cert, proto == "HTTP/2.0")
			for range 2 {
				open := e.begin(t, http.MethodPost, "/v1/agent/poll", e.web1, `{"wait_seconds":55}`)
				e.waitForParked(t)
				e.push(t, "web-1", "m")
				if a := as[agentapi.PollAnswer](t, <-open, http.StatusOK); len(a.Jobs) != 1 {
					t.Errorf("got %+v", a)
				}
			}
		})
	}
}

func TestTidier(t *testing.T) {
	t.Parallel()
	var td tidier
	park := func(now time.Time, n int) (due []time.Duration) {
		for range n {
			if in, ok := td.parked(now); ok {
				due = append(due, in)
			}
		}
		return due
	}
	want := func(what string, got []time.Duration, want ...time.Duration) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: collections in %v; want %v", what, got, want)
		}
	}
	now := time.Unix(1_000_000, 0)
	want("a few", park(now, tidyCount-1))
	want("a burst", park(now, 3*tidyCount), tidyDelay)
	want("while one is to come", park(now.Add(tidyDelay-1), tidyCount))
	want("soon after it", park(now.Add(tidyDelay+time.Second), 1), tidyEvery-time.Second)
	want("long after", park(now.Add(time.Hour), tidyCount), tidyDelay)
	want("a clock set back", park(now, tidyCount), tidyDelay)
}
