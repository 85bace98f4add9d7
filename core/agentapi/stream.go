package agentapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// streamSilence is how long a stream may say nothing, not even the
	// server's keep-alive comments, before it is opened again.
	streamSilence = 60 * time.Second
	// streamRetry is the longest pause between two tries at a stream.
	streamRetry = 10 * time.Second
)

// Names of the events of GET /v1/jobs/{id}/output.
const (
	// OutputEvent carries an OutputPiece; its id is the sequence number.
	OutputEvent = "output"
	// JobEvent carries the Job when it is final, and ends the stream.
	JobEvent = "job"
)

// OutputPiece is one piece of a job's live output. A jump in Seq means that
// the server dropped what was between.
type OutputPiece struct {
	Seq  int64  `json:"seq"`
	Text string `json:"text"`
}

// JobOutput follows the live output of a job from the piece after sequence
// number after on, 0 for all, and returns the job when it is final. It hands
// every piece to each, whose error ends it. A connection that breaks is
// resumed where it was until ctx ends; a refusal is a *Problem.
func (c *Client) JobOutput(ctx context.Context, id string, after int64, each func(OutputPiece) error) (Job, error) {
	s := &outputStream{c: c, path: "/v1/jobs/" + url.PathEscape(id) + "/output", last: after, each: each}
	for failures := 0; ; failures++ {
		before := s.last
		job, err := s.once(ctx)
		if err == nil {
			return job, nil
		}
		if ctx.Err() != nil {
			return Job{}, context.Cause(ctx)
		}
		var stop *stopError
		if errors.As(err, &stop) {
			return Job{}, stop.err
		}
		var p *Problem
		if errors.As(err, &p) && !p.Temporary() {
			return Job{}, p
		}
		if s.last != before {
			failures = 0
		}
		pause := time.Duration(float64(min(streamRetry, 200*time.Millisecond<<min(failures, 10))) * (0.5 + rand.Float64()/2)) //nolint:gosec // jitter
		if p != nil {
			pause = max(pause, p.RetryAfter)
		}
		select {
		case <-ctx.Done():
			return Job{}, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// Temporary reports whether the same call may succeed later without a change
// to it: the server is overloaded, restarting or limits the rate.
func (p *Problem) Temporary() bool {
	return p.Status >= 500 || p.Status == http.StatusTooManyRequests || p.Status == http.StatusRequestTimeout
}

// stopError marks an error that resuming would not mend.
type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }

type outputStream struct {
	c    *Client
	path string
	last int64
	each func(OutputPiece) error
}

// once reads one connection; an error means that it ended before the job.
func (s *outputStream) once(ctx context.Context) (Job, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(streamSilence, cancel)
	defer silence.Stop()

	req, err := s.c.request(ctx, http.MethodGet, s.path, nil, nil)
	if err != nil {
		return Job{}, &stopError{err}
	}
	req.Header.Set("Accept", "text/event-stream, application/problem+json")
	if s.last > 0 {
		req.Header.Set("Last-Event-ID", strconv.FormatInt(s.last, 10))
	}
	res, err := s.c.http.Do(req)
	if err != nil {
		return Job{}, s.c.explain(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return Job{}, s.c.problem(req, res)
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "text/event-stream" {
		return Job{}, &stopError{fmt.Errorf("the answer to GET %s is not a stream of events; is %s a Skadi server?", s.path, s.c.base)}
	}
	events := newEventReader(&touchReader{r: res.Body, touch: func() { silence.Reset(streamSilence) }})
	for {
		e, err := events.next()
		if err != nil {
			return Job{}, err
		}
		switch e.Name {
		case OutputEvent:
			var piece OutputPiece
			if err := json.Unmarshal([]byte(e.Data), &piece); err != nil {
				return Job{}, &stopError{fmt.Errorf("an event of GET %s is not the JSON expected: %w", s.path, err)}
			}
			if piece.Seq <= s.last {
				continue
			}
			if err := s.each(piece); err != nil {
				return Job{}, &stopError{err}
			}
			s.last = piece.Seq
		case JobEvent:
			var job Job
			if err := json.Unmarshal([]byte(e.Data), &job); err != nil {
				return Job{}, &stopError{fmt.Errorf("an event of GET %s is not the JSON expected: %w", s.path, err)}
			}
			return job, nil
		}
	}
}

// touchReader calls touch after every read that brought something.
type touchReader struct {
	r     interface{ Read([]byte) (int, error) }
	touch func()
}

func (t *touchReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 {
		t.touch()
	}
	return n, err
}
