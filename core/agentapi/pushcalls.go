package agentapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// PushOptions are the parts of a push that are not in its body.
type PushOptions struct {
	// Wait keeps the call open until the job is final, at most this long.
	Wait time.Duration
	// IdempotencyKey makes repetitions of one push make one job.
	IdempotencyKey string
}

// Push asks for a job. The job comes back as it stands when it is final or
// the wait is over. An agent that is offline is no error: the job is then
// expired.
func (c *Client) Push(ctx context.Context, p Push, o PushOptions) (Job, error) {
	var j Job
	_, err := c.call(ctx, http.MethodPost, "/v1/jobs", seconds(o.Wait), o.Wait, p, &j, "Idempotency-Key", o.IdempotencyKey)
	return j, err
}

// PushBatch asks for up to 1,000 jobs, with one answer for each, in order.
func (c *Client) PushBatch(ctx context.Context, pushes []Push) ([]JobOrProblem, error) {
	var a BatchAnswer
	_, err := c.call(ctx, http.MethodPost, "/v1/jobs/batch", nil, 0, Batch{Jobs: pushes}, &a)
	return a.Jobs, err
}

// Job returns a job when it is final or the wait is over.
func (c *Client) Job(ctx context.Context, id string, wait time.Duration) (Job, error) {
	var j Job
	_, err := c.call(ctx, http.MethodGet, "/v1/jobs/"+url.PathEscape(id), seconds(wait), wait, nil, &j)
	return j, err
}

// JobFilter selects jobs to list; its zero value is the newest of all.
type JobFilter struct {
	Agent  string
	Status string
	// Limit is the length of a page; 0 leaves it to the server.
	Limit int
	// Cursor is the NextCursor of the page before.
	Cursor string
}

// Jobs returns one page of jobs, newest first.
func (c *Client) Jobs(ctx context.Context, f JobFilter) (JobList, error) {
	q := url.Values{}
	set := func(key, value string) {
		if value != "" {
			q.Set(key, value)
		}
	}
	set("agent", f.Agent)
	set("status", f.Status)
	set("cursor", f.Cursor)
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	var l JobList
	_, err := c.call(ctx, http.MethodGet, "/v1/jobs", q, 0, nil, &l)
	return l, err
}

// Cancel cancels a job. One that its agent has already is only asked to stop:
// then pending is true and the job becomes final later. A job that is final
// is a *Problem with status 409 and the job.
func (c *Client) Cancel(ctx context.Context, id string) (j Job, pending bool, err error) {
	status, err := c.call(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/cancel", nil, 0, nil, &j)
	return j, status == http.StatusAccepted, err
}

// Accounts lists the accounts of the server, by name. It takes an admin token.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	var l AccountList
	_, err := c.call(ctx, http.MethodGet, "/v1/accounts", nil, 0, nil, &l)
	return l.Accounts, err
}

// Reload has the server that answers read its config again. It takes an admin
// token. A config with errors is a Problem, and the server works on as before.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var r Reloaded
	_, err := c.call(ctx, http.MethodPost, "/v1/reload", nil, 0, nil, &r)
	return r, err
}

// Agents lists the agents by name.
func (c *Client) Agents(ctx context.Context) ([]Agent, error) {
	var l AgentList
	_, err := c.call(ctx, http.MethodGet, "/v1/agents", nil, 0, nil, &l)
	return l.Agents, err
}

// CreateAgent makes an agent and returns its token, which is shown only now.
func (c *Client) CreateAgent(ctx context.Context, name string) (AgentToken, error) {
	var t AgentToken
	_, err := c.call(ctx, http.MethodPost, "/v1/agents", nil, 0, NewAgent{Name: name}, &t)
	return t, err
}

// RemoveAgent removes an agent: its token ends and its waiting jobs are
// canceled.
func (c *Client) RemoveAgent(ctx context.Context, name string) error {
	_, err := c.call(ctx, http.MethodDelete, "/v1/agents/"+url.PathEscape(name), nil, 0, nil, nil)
	return err
}

// RotateAgentToken gives an agent a new token; the one before ends.
func (c *Client) RotateAgentToken(ctx context.Context, name string) (AgentToken, error) {
	var t AgentToken
	_, err := c.call(ctx, http.MethodPost, "/v1/agents/"+url.PathEscape(name)+"/token", nil, 0, nil, &t)
	return t, err
}
