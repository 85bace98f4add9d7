package httpapi

import (
	"net/http"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

// maxItems is how many starts or results one call reports at most.
const maxItems = 1000

// poll hands out jobs and waits for them. Ten thousand agents do so at once,
// so a call that has waited for a while is parked. Until then what it needs no
// longer is given back, and its frame holds little: a stack shrinks no further
// than its frames.
func (c *call) poll() error {
	r, err := c.pollRequest()
	if err != nil {
		return err
	}
	c.release()
	lot, rest := c.lot(), r.Wait-c.api.parkAfter
	if lot == nil || rest <= 0 {
		return c.pollFor(r)
	}
	long := r
	r.Wait, long.Wait = c.api.parkAfter, rest
	answer, err := c.api.cfg.Jobs.Poll(c.waiting(r.Wait), c.waiter(), r)
	if nothing(answer, err) && lot.stopping.Err() == nil {
		if lot.park(c, long) {
			return nil
		}
		return c.pollFor(long)
	}
	return c.handOver(answer, err)
}

// pollFor waits on the connection's own goroutine.
func (c *call) pollFor(r job.PollRequest) error {
	answer, err := c.api.cfg.Jobs.Poll(c.waiting(r.Wait), c.waiter(), r)
	return c.handOver(answer, err)
}

func nothing(a job.PollAnswer, err error) bool {
	return err == nil && len(a.Jobs) == 0 && len(a.Cancel) == 0
}

// handOver answers a poll.
//
//go:noinline
func (c *call) handOver(answer job.PollAnswer, err error) error {
	if err != nil && !c.stopping() { // to an agent, the server's stop is no error
		return err
	}
	return c.json(http.StatusOK, c.api.wirePollAnswer(answer))
}

func (a *API) wirePollAnswer(answer job.PollAnswer) agentapi.PollAnswer {
	w := agentapi.PollAnswer{
		Jobs:   make([]agentapi.Assignment, len(answer.Jobs)),
		Cancel: wireHolds(answer.Cancel),
	}
	for i, j := range answer.Jobs {
		w.Jobs[i] = assignment(j)
		w.Jobs[i].Traceparent = a.cfg.Traceparent(j.ID, j.Attempt)
	}
	return w
}

//go:noinline
func (c *call) pollRequest() (job.PollRequest, error) {
	var w agentapi.PollRequest
	if err := c.decodeOptional(&w); err != nil {
		return job.PollRequest{}, err
	}
	most := time.Duration(w.WaitSeconds) // before it can overflow
	if most < 0 || most > job.MaxWait/time.Second {
		return job.PollRequest{}, fail(agentapi.ProblemInvalidValue, "wait_seconds: must be 0 to %d", job.MaxWait/time.Second).at("wait_seconds")
	}
	r := job.PollRequest{
		Instance: w.Instance, Wait: most * time.Second, Max: 1, Confirm: w.Confirm,
		Running: jobHolds(w.Running), Commands: jobCommands(w.Commands), Version: w.Version,
	}
	if w.Max != nil {
		r.Max = *w.Max
	}
	return r, nil
}

// start confirms offered jobs, each with an answer of its own.
func (c *call) start() error {
	var w agentapi.Starts
	if err := c.decode(&w); err != nil {
		return err
	}
	if err := checkItems("starts", len(w.Starts)); err != nil {
		return err
	}
	updated, err := c.api.cfg.Jobs.Start(c.context(), c.caller(), jobHolds(w.Starts))
	if err != nil {
		return err
	}
	answers := make([]agentapi.Answer, len(updated))
	for i, u := range updated {
		answers[i] = c.answer(w.Starts[i].ID, u)
		if u.Err == nil {
			j := wireJob(u.Job)
			answers[i].Job = &j
		}
	}
	return c.json(http.StatusOK, agentapi.Answers{Answers: answers})
}

// answer is what became of one item. A 200 of a result carries no job, since
// the agent knows all of it.
func (c *call) answer(id string, u job.Updated) agentapi.Answer {
	if u.Err == nil {
		return agentapi.Answer{ID: id, Status: http.StatusOK}
	}
	p := c.itemProblem(c.conflict(u))
	return agentapi.Answer{ID: id, Status: p.Status, Problem: p}
}

// conflict shows the job as it stands, if it is one of the agent's own.
func (c *call) conflict(u job.Updated) error {
	f := failureOf(u.Err)
	if f.problem.Status == http.StatusConflict && u.Job.Agent == c.token.Agent {
		return f.with(u.Job)
	}
	return f
}

func checkItems(field string, n int) error {
	if n == 0 || n > maxItems {
		return fail(agentapi.ProblemInvalidValue, "%s: has %d entries and must have 1 to %d", field, n, maxItems).at(field)
	}
	return nil
}

// output takes one piece of live output.
func (c *call) output() error {
	var w agentapi.Output
	if err := c.decode(&w); err != nil {
		return err
	}
	id := c.echo.Param("id")
	chunk := job.OutputChunk{Seq: w.Seq, Text: w.Text}
	err := c.api.cfg.Jobs.Output(c.context(), c.caller(), id, w.Lease, chunk)
	if err != nil {
		return c.withJob(err, id)
	}
	return c.noContent()
}

// withJob adds the job as it stands to a conflict.
func (c *call) withJob(err error, id string) error {
	f := failureOf(err)
	if f.problem.Status != http.StatusConflict {
		return f
	}
	j, lookup := c.api.cfg.Jobs.Job(c.context(), c.token.Space, id)
	if lookup != nil || j.Agent != c.token.Agent {
		return f
	}
	return f.with(j)
}

// result takes the result of one job.
func (c *call) result() error {
	var w agentapi.Report
	if err := c.decode(&w); err != nil {
		return err
	}
	id := c.echo.Param("id")
	updated, err := c.api.cfg.Jobs.Report(c.context(), c.caller(), []job.Report{report(id, w)})
	if err != nil {
		return err
	}
	u := updated[0]
	if u.Err != nil {
		return c.conflict(u)
	}
	return c.json(http.StatusOK, wireJob(u.Job))
}

// results takes many results, each with an answer of its own.
func (c *call) results() error {
	var w agentapi.Reports
	if err := c.decode(&w); err != nil {
		return err
	}
	if err := checkItems("results", len(w.Results)); err != nil {
		return err
	}
	reports := make([]job.Report, len(w.Results))
	for i, r := range w.Results {
		reports[i] = report(r.ID, r.Report)
	}
	updated, err := c.api.cfg.Jobs.Report(c.context(), c.caller(), reports)
	if err != nil {
		return err
	}
	answers := make([]agentapi.Answer, len(updated))
	for i, u := range updated {
		answers[i] = c.answer(reports[i].ID, u)
	}
	return c.json(http.StatusOK, agentapi.Answers{Answers: answers})
}

func report(id string, w agentapi.Report) job.Report {
	return job.Report{
		ID: id, Lease: w.Lease, Status: job.Status(w.Status), Reason: job.Reason(w.Reason),
		Output: w.Output, Truncated: w.Truncated, ExitCode: w.ExitCode,
	}
}
