package httpapi

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
)

// reader reads a stream of server-sent events as it comes.
type reader struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

// open opens a stream, which must be answered with 200.
func (e *env) open(t *testing.T, path, token string, headers ...string) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := e.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("GET %s: %s %s", path, res.Status, res.Header.Get("Content-Type"))
	}
	return &reader{t: t, lines: bufio.NewScanner(res.Body), close: func() { cancel(); _ = res.Body.Close() }}
}

// line returns the next line that is not empty, and false at the end.
func (r *reader) line() (string, bool) {
	for r.lines.Scan() {
		if s := r.lines.Text(); s != "" && !strings.HasPrefix(s, "retry:") {
			return s, true
		}
	}
	return "", false
}

// want reads these lines.
func (r *reader) want(lines ...string) {
	r.t.Helper()
	for _, want := range lines {
		got, ok := r.line()
		if !ok || !strings.HasPrefix(got, want) {
			r.t.Fatalf("the stream says %q (%t); want %q", got, ok, want)
		}
	}
}

func (r *reader) end() {
	r.t.Helper()
	if got, ok := r.line(); ok {
		r.t.Fatalf("the stream says %q; want its end", got)
	}
}

func (e *env) sendOutput(t *testing.T, a agentapi.Assignment, seq int64, text string) {
	t.Helper()
	e.call(t, http.MethodPost, "/v1/agent/jobs/"+a.ID+"/output", e.web1,
		encode(t, agentapi.Output{Lease: a.Lease, Seq: seq, Text: text})).want(t, http.StatusNoContent)
}

func (e *env) succeed(t *testing.T, a agentapi.Assignment) {
	t.Helper()
	e.call(t, http.MethodPost, "/v1/agent/jobs/"+a.ID+"/result", e.web1,
		encode(t, agentapi.Report{Lease: a.Lease, Status: "succeeded"})).want(t, http.StatusOK)
}

func TestStreamOutput(t *testing.T) {
	t.Parallel()
	e := setup(t)
	j := e.push(t, "web-1", "m")
	s := e.open(t, "/v1/jobs/"+j.ID+"/output", e.reader)
	a := e.take(t, "")
	e.sendOutput(t, a, 1, "one\n")
	s.want("id: 1", "event: output", `data: {"seq":1,"text":"one\n"}`)
	e.sendOutput(t, a, 2, "two \u2028")
	s.want("id: 2", "event: output", `data: {"seq":2,"text":"two \u2028"}`)
	e.succeed(t, a)
	s.want("event: job", `data: {"id":"`+j.ID+`"`)
	s.end()

	// The stream of a job that is final has all of it at once.
	again := e.open(t, "/v1/jobs/"+j.Code+"/output", e.reader)
	again.want("id: 1", "event: output", "data: ", "id: 2", "event: output", "data: ", "event: job", "data: ")
	again.end()
	resumed := e.open(t, "/v1/jobs/"+j.ID+"/output", e.reader, "Last-Event-ID", "1")
	resumed.want("id: 2", "event: output", "data: ", "event: job", "data: ")
	resumed.end()
}

// TestStreamsEndWithTheirToken: a revoked token reads nothing more.
func TestStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.api.keepAlive = 10 * time.Millisecond
	j := e.push(t, "web-1", "m")
	for _, path := range []string{"/v1/events", "/v1/jobs/" + j.ID + "/output"} {
		s := e.open(t, path, e.token(t, "guest", access.RoleRead))
		s.want(":")
		if err := e.tokens.Revoke(t.Context(), job.DefaultSpace, "guest"); err != nil {
			t.Fatal(err)
		}
		for {
			line, ok := s.line()
			if !ok {
				break
			}
			if line != ":" {
				t.Fatalf("GET %s says %q after its token was revoked", path, line)
			}
		}
	}
}

func TestStreamOutputBadInput(t *testing.T) {
	t.Parallel()
	e := setup(t)
	j := e.push(t, "web-1", "m")
	e.call(t, http.MethodGet, "/v1/jobs/x/output", e.reader, "").problem(t, agentapi.ProblemUnknownJob)
	e.call(t, http.MethodGet, "/v1/jobs/"+j.ID+"/output", e.ci, "").problem(t, agentapi.ProblemUnknownJob)
	for _, id := range []string{"x", "-1", "1.5"} {
		p := e.call(t, http.MethodGet, "/v1/jobs/"+j.ID+"/output", e.reader, "", "Last-Event-ID", id).problem(t, agentapi.ProblemBadParameter)
		if p.Field != "Last-Event-ID" {
			t.Errorf("field %q", p.Field)
		}
	}
}

// TestStreamOutputInPages sends more pieces than are read at a time.
func TestStreamOutputInPages(t *testing.T) {
	t.Parallel()
	e := setup(t)
	j := e.push(t, "web-1", "m")
	a := e.take(t, "")
	const pieces = 2*outputPage + 1
	for i := range pieces {
		e.sendOutput(t, a, int64(i+1), "x")
	}
	e.succeed(t, a)
	// Skadi's own client reads the stream too.
	c, err := agentapi.NewClient(agentapi.ClientConfig{Server: e.url, Token: e.admin, HTTP: e.client})
	if err != nil {
		t.Fatal(err)
	}
	var got int64
	final, err := c.JobOutput(t.Context(), j.ID, 0, func(p agentapi.OutputPiece) error {
		if got++; p.Seq != got {
			return errors.New("out of order")
		}
		return nil
	})
	if err != nil || got != pieces || final.Status != "succeeded" {
		t.Errorf("got %d pieces, %+v, %v", got, final, err)
	}
}

func TestStreamsStayAlive(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.api.keepAlive = time.Millisecond
	j := e.push(t, "web-1", "m")
	e.open(t, "/v1/jobs/"+j.ID+"/output", e.reader).want(":", ":")
	e.open(t, "/v1/events", e.reader).want(":", ":")
}

func TestStreamEndsWhenItsReaderLeaves(t *testing.T) {
	t.Parallel()
	e := setup(t)
	j := e.push(t, "web-1", "m")
	s := e.open(t, "/v1/jobs/"+j.ID+"/output", e.reader)
	watched(t, e.waker.begun, job.WakeJob(j.ID))
	s.close()
	watched(t, e.waker.ended, job.WakeJob(j.ID))
}

func TestStreamEvents(t *testing.T) {
	t.Parallel()
	e := setup(t)
	s := e.open(t, "/v1/events", e.reader)
	elsewhere := e.open(t, "/v1/events", e.tokenIn(t, "elsewhere", "board", "read"))
	publish(t, e.queue, "default", "one")
	publish(t, e.queue, "elsewhere", "two")
	s.want("id: one.1", "event: EventJobStatus", `data: {"id":"one.1","kind":"EventJobStatus"`)
	elsewhere.want("id: two.1", "event: EventJobStatus", `data: {"id":"two.1"`)
	publish(t, e.queue, "default", "three")
	s.want("id: three.1")
}

// publish puts an event into the queue as the relay does.
func publish(t *testing.T, q *queue.Embedded, space, id string) {
	t.Helper()
	data := encode(t, events.Payload{
		Event:        agentapi.Event{ID: id + ".1", Kind: "EventJobStatus", At: time.Unix(1, 0).UTC(), Status: "sent", V: 1},
		Conversation: &queue.Conversation{Account: "a", Key: "hidden"},
	})
	err := q.Publish(t.Context(), []queue.Message{{ID: id + ".1", Space: space, Kind: "EventJobStatus", Data: []byte(data)}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStreamShowsNoConversation(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, data, want string }{
		{"told nowhere", `{"id":"a.1","kind":"EventMessage","at":"2026-01-02T03:04:05Z","v":1}`, ""},
		{"a text that looks like one", `{"id":"a.1","kind":"EventMessage","at":"2026-01-02T03:04:05Z","text":"\"conversation\":{}","v":1}`, ""},
		{
			"told somewhere",
			`{"id":"a.1","kind":"EventMessage","at":"2026-01-02T03:04:05Z","v":1,"conversation":{"account":"a","key":"k"}}`,
			`{"id":"a.1","kind":"EventMessage","at":"2026-01-02T03:04:05Z","v":1}`,
		},
		{"on two lines", "{\"id\":\"a.1\",\n\"kind\":\"EventMessage\",\"at\":\"2026-01-02T03:04:05Z\",\"v\":1}", `{"id":"a.1","kind":"EventMessage","at":"2026-01-02T03:04:05Z","v":1}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var s stream
			if err := s.message(queue.Message{ID: "a.1", Kind: "EventMessage", Data: []byte(tc.data)}); err != nil {
				t.Fatal(err)
			}
			if tc.want == "" {
				tc.want = tc.data
			}
			if want := "id: a.1\nevent: EventMessage\ndata: " + tc.want + "\n\n"; s.buf.String() != want {
				t.Errorf("wrote %q, want %q", s.buf.String(), want)
			}
		})
	}
}

// slowQueue closes its channel as a queue does for a reader that lags.
type slowQueue struct{ messages chan []queue.Message }

func (q slowQueue) Subscribe(context.Context, string) (<-chan []queue.Message, error) {
	return q.messages, nil
}

func TestLaggingReaderIsCutOff(t *testing.T) {
	t.Parallel()
	q := slowQueue{messages: make(chan []queue.Message, 1)}
	e := setup(t, func(c *Config) { c.Queue = q })
	s := e.open(t, "/v1/events", e.reader)
	q.messages <- []queue.Message{{ID: "a", Kind: "EventMessage", Data: []byte(`{"id":"a","kind":"EventMessage"}`)}}
	close(q.messages)
	s.want("id: a", "event: EventMessage", "data: ")
	s.end()
}

// floodQueue has always one more message, until its subscriber ends.
type floodQueue struct{ ended chan struct{} }

func (q floodQueue) Subscribe(ctx context.Context, _ string) (<-chan []queue.Message, error) {
	messages := make(chan []queue.Message)
	go func() {
		defer close(q.ended)
		m := queue.Message{ID: "a", Kind: "EventMessage", Data: []byte(`{"id":"a","kind":"EventMessage","text":"` + strings.Repeat("x", 10_000) + `"}`)}
		for {
			select {
			case messages <- []queue.Message{m}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return messages, nil
}

// TestReaderThatDoesNotReadIsCutOff opens a stream and reads nothing of it.
func TestReaderThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	q := floodQueue{ended: make(chan struct{})}
	e := setup(t, func(c *Config) { c.Queue = q })
	e.api.streamWrite = 20 * time.Millisecond
	e.open(t, "/v1/events", e.reader)
	<-q.ended
}

func TestNoQueue(t *testing.T) {
	t.Parallel()
	e := setup(t, func(c *Config) { c.Queue = nil })
	e.call(t, http.MethodGet, "/v1/events", e.reader, "").problem(t, agentapi.ProblemUnavailable)
	closed := setup(t)
	if err := closed.queue.Close(); err != nil {
		t.Fatal(err)
	}
	closed.call(t, http.MethodGet, "/v1/events", closed.reader, "").problem(t, agentapi.ProblemUnavailable)
}
