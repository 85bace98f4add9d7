package agentapi

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// These calls need a token with the agent role.

// Poll asks for work. It is answered as soon as there is some, or with empty
// lists when the wait is over.
func (c *Client) Poll(ctx context.Context, r PollRequest) (PollAnswer, error) {
	var a PollAnswer
	_, err := c.call(ctx, http.MethodPost, "/v1/agent/poll", nil, time.Duration(r.WaitSeconds)*time.Second, r, &a)
	return a, err
}

// Starts confirms offered jobs. There is one answer for each, in order; only
// a job whose answer has status 200 may run.
func (c *Client) Starts(ctx context.Context, holds []Hold) ([]Answer, error) {
	var a Answers
	_, err := c.call(ctx, http.MethodPost, "/v1/agent/starts", nil, 0, Starts{Starts: holds}, &a)
	return a.Answers, err
}

// Output sends one piece of live output. A Problem with status 409 and
// Expected set names the sequence number that the server waits for.
func (c *Client) Output(ctx context.Context, id string, o Output) error {
	_, err := c.call(ctx, http.MethodPost, "/v1/agent/jobs/"+url.PathEscape(id)+"/output", nil, 0, o, nil)
	return err
}

// Result reports the result of one job. The same report again is fine.
func (c *Client) Result(ctx context.Context, id string, r Report) (Job, error) {
	var j Job
	_, err := c.call(ctx, http.MethodPost, "/v1/agent/jobs/"+url.PathEscape(id)+"/result", nil, 0, r, &j)
	return j, err
}

// Results reports the results of several jobs, with one answer for each, in
// order.
func (c *Client) Results(ctx context.Context, reports []IdentifiedReport) ([]Answer, error) {
	var a Answers
	_, err := c.call(ctx, http.MethodPost, "/v1/agent/results", nil, 0, Reports{Results: reports}, &a)
	return a.Answers, err
}

// Message says something of the agent's own accord, to the conversation of a
// job or to a channel.
func (c *Client) Message(ctx context.Context, m Message) error {
	_, err := c.Say(ctx, m, "")
	return err
}

// Say is Message, and returns the event that was made of it. Repetitions with
// the same key say it once.
func (c *Client) Say(ctx context.Context, m Message, key string) (Event, error) {
	var e Event
	_, err := c.call(ctx, http.MethodPost, "/v1/agent/messages", nil, 0, m, &e, "Idempotency-Key", key)
	return e, err
}
