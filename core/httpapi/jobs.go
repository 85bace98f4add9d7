package httpapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

const (
	defaultPage = 50
	maxPage     = 500
	// maxScan is how many jobs of others are passed over for one page of
	// those that the caller may see.
	maxScan = 5000
)

// find returns the job that the path names, by its ID or its code, if the
// caller may see it. A job of others is answered as one that is not there.
func (c *call) find() (job.Job, error) {
	id := c.echo.Param("id")
	j, err := c.api.cfg.Jobs.Job(c.context(), c.token.Space, id)
	if errors.Is(err, job.ErrNotFound) {
		j, err = c.api.cfg.Jobs.JobByCode(c.context(), c.token.Space, id)
	}
	if err == nil && !c.sees(j) {
		err = job.ErrNotFound
	}
	return j, err
}

func (c *call) getJob() error {
	wait, err := c.wait()
	if err != nil {
		return err
	}
	j, err := c.find()
	if err != nil {
		return err
	}
	if wait > 0 && !j.Status.Final() {
		j = c.await(j, wait)
	}
	return c.json(http.StatusOK, wireJob(j))
}

// cancelJob answers 200 when the job is canceled, 202 when its agent was
// asked to stop it, and 409 when it is final.
func (c *call) cancelJob() error {
	j, err := c.find()
	if err != nil {
		return err
	}
	q := access.Request{Action: access.Cancel, Agent: j.Agent, Asker: j.Sender.Principal()}
	if d := c.decide(q); !d.Allowed {
		return c.refuse(q, d, "")
	}
	j, err = c.api.cfg.Jobs.Cancel(c.context(), j.Space, j.ID, c.principal())
	switch {
	case err != nil:
		return failureOf(err).with(j)
	case j.Status == job.Canceled:
		return c.json(http.StatusOK, wireJob(j))
	}
	return c.json(http.StatusAccepted, wireJob(j))
}

// listJobs answers one page, newest first. A page may be short although more
// follow: next_cursor alone says whether there are more.
func (c *call) listJobs() error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	limit := f.Limit
	keep, err := c.narrow(&f)
	if err != nil {
		return err
	}
	page := agentapi.JobList{Jobs: make([]agentapi.Job, 0, min(limit, defaultPage))}
	for scanned := 0; ; {
		// One more than needed tells whether there is a next page.
		f.Limit = limit + 1
		jobs, err := c.api.cfg.Jobs.Jobs(c.context(), f)
		if err != nil {
			return err
		}
		for i, j := range jobs {
			if len(page.Jobs) == limit || scanned == maxScan {
				page.NextCursor = cursorBefore(jobs, i, f.Before)
				return c.json(http.StatusOK, page)
			}
			scanned++
			if keep(j) {
				page.Jobs = append(page.Jobs, wireJob(j))
			}
		}
		if len(jobs) <= limit {
			return c.json(http.StatusOK, page)
		}
		f.Before = jobs[len(jobs)-1].Num
	}
}

// filter reads the query of a list.
func (c *call) filter() (job.Filter, error) {
	f := job.Filter{Space: c.token.Space, Limit: defaultPage}
	var err error
	if f.Agent, err = c.parameter("agent"); err != nil {
		return f, err
	}
	status, err := c.parameter("status")
	if err != nil {
		return f, err
	}
	if f.Status = job.Status(status); status != "" && !f.Status.Valid() {
		return f, badParameter("status", "%q is none of queuing, sent, succeeded, failed, expired and canceled", short(status))
	}
	limit, err := c.parameter("limit")
	if err != nil {
		return f, err
	}
	if limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > maxPage {
			return f, badParameter("limit", "%q must be 1 to %d", short(limit), maxPage)
		}
		f.Limit = n
	}
	cursor, err := c.parameter("cursor")
	if err != nil {
		return f, err
	}
	if cursor != "" {
		n, err := strconv.ParseInt(cursor, 36, 64)
		if err != nil || n < 1 || strconv.FormatInt(n, 36) != cursor {
			return f, badParameter("cursor", "%q is not the next_cursor of another page", short(cursor))
		}
		f.Before = n
	}
	return f, nil
}

// cursorBefore is where the page that begins with jobs[i] begins.
func cursorBefore(jobs []job.Job, i int, before int64) string {
	if i > 0 {
		before = jobs[i-1].Num
	}
	return strconv.FormatInt(before, 36)
}

// narrow leaves out of the list what the caller may not see: in the database
// where that is only their own jobs, else by the returned function.
func (c *call) narrow(f *job.Filter) (keep func(job.Job) bool, err error) {
	everything := func(job.Job) bool { return true }
	if c.token.Role != access.RolePush {
		return everything, nil
	}
	agents, err := c.api.cfg.Jobs.Agents(c.context(), c.token.Space)
	if err != nil {
		return nil, err
	}
	shown := make(map[string]bool, len(agents))
	sees := func(agent string) bool {
		show, known := shown[agent]
		if !known {
			show = c.decide(access.Request{Action: access.SeeJobs, Agent: agent}).Allowed
			shown[agent] = show
		}
		return show
	}
	others := false
	for _, a := range agents {
		others = sees(a.Name) || others
	}
	if !others {
		f.Sender = c.principal()
		return everything, nil
	}
	return func(j job.Job) bool { return j.Sender.Principal() == c.principal() || sees(j.Agent) }, nil
}
