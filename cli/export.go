package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/httpapi"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/internal/service"
)

// exportPage is how many jobs are listed at a time.
const exportPage = 200

func exportCommand() *cobra.Command {
	e := &export{}
	var status, after string
	c := &cobra.Command{
		Use:   "export",
		Short: "Print jobs as JSON lines, with their output",
		Long: `Prints one job a line, newest first, as GET /v1/jobs/{id} shows it. It reads the
database itself, also while the server runs, or with --server calls the API, where
the token decides which jobs there are.

An export that broke off goes on after the last job that it printed: --after takes
that job's code. What was made meanwhile is not in it. A code beyond the newest
job's is refused.`,
		Example: `  skadi export -c /etc/skadi/skadi.yaml > jobs.jsonl
  skadi export --agent web-1 --status failed --limit 100 | jq .result.output
  skadi export --after "$(tail -n 1 jobs.jsonl | jq -r .code)" >> jobs.jsonl
  skadi export --server https://skadi.example.com --token-file reader.token`,
		Args: exactly(),
	}
	e.db = databaseFlags(c)
	e.remote.flags(c)
	f := c.Flags()
	f.StringVar(&e.filter.Agent, "agent", "", "only jobs of this agent")
	f.StringVar(&status, "status", "", "only jobs with this status")
	f.IntVar(&e.limit, "limit", 0, "how many at most; 0 is all")
	f.StringVar(&after, "after", "", "go on after the job with this `CODE`")
	completeFlag(c, "agent", completeAgents(e.db))
	completeFlag(c, "after", completeJobCodes(e.db))
	completeStatus(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		e.filter.Space, e.filter.Status = job.DefaultSpace, job.Status(status)
		switch {
		case status != "" && !e.filter.Status.Valid():
			return usage("--status must be queuing, sent, succeeded, failed, expired or canceled, not %q", status)
		case e.limit < 0:
			return usage("--limit must not be negative")
		}
		if after != "" {
			num, ok := job.ParseCode(after)
			if !ok {
				return usage("--after takes the code of a job, as k7f3q2, not %q", after)
			}
			e.filter.Before = num
		}
		ctx, _, stop := service.Interrupts(c.Context())
		defer stop()
		out := bufio.NewWriter(c.OutOrStdout())
		err := e.run(ctx, c, json.NewEncoder(out))
		if err = joined(err, out.Flush); err != nil && e.last != "" {
			return fmt.Errorf("%w\n%d jobs were printed; go on with --after %s", err, e.count, e.last)
		}
		return err
	}
	return c
}

// export is one run of `skadi export`.
type export struct {
	db     *database
	remote remote
	filter job.Filter
	limit  int

	count int
	last  string // the code of the job printed last
}

var errEnough = errors.New("that is all")

func (e *export) run(ctx context.Context, c *cobra.Command, out *json.Encoder) (err error) {
	out.SetEscapeHTML(false)
	put := func(j agentapi.Job) error {
		if err := out.Encode(j); err != nil {
			return err
		}
		if e.count, e.last = e.count+1, j.Code; e.count == e.limit {
			return errEnough
		}
		return ctx.Err()
	}
	if c.Flags().Changed("server") {
		err = e.overAPI(ctx, put)
	} else {
		err = e.fromDatabase(ctx, put)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (e *export) fromDatabase(ctx context.Context, put func(agentapi.Job) error) (err error) {
	o, err := e.db.open(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = joined(err, o.store.Close) }()
	if e.filter.Before > 0 {
		newest, err := o.jobs.Jobs(ctx, job.Filter{Space: e.filter.Space, Limit: 1})
		if err != nil {
			return err
		}
		if len(newest) == 0 || newest[0].Num < e.filter.Before {
			return e.unknownAfter()
		}
	}
	for f := e.filter; ; {
		f.Limit = exportPage
		jobs, err := o.jobs.Jobs(ctx, f)
		if err != nil || len(jobs) == 0 {
			return err
		}
		for _, j := range jobs {
			f.Before = j.Num
			// A list has no output, and the job may have gone meanwhile.
			whole, err := o.jobs.Job(ctx, j.Space, j.ID)
			if errors.Is(err, job.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if err := put(httpapi.WireJob(whole)); err != nil {
				return err
			}
		}
	}
}

// unknownAfter refuses a code beyond the newest job's, before which everything
// is. One before it may be of a job that is no longer kept, and is a place to go
// on from all the same.
func (e *export) unknownAfter() error {
	return usage("--after %s: no job has this code; take that of the job printed last", job.EncodeCode(e.filter.Before))
}

// newestOf is the number of the newest job that the token may see; 0: none.
func newestOf(ctx context.Context, client *agentapi.Client) (int64, error) {
	for f := (agentapi.JobFilter{Limit: 1}); ; {
		page, err := client.Jobs(ctx, f)
		if err != nil {
			return 0, err
		}
		if len(page.Jobs) > 0 {
			num, _ := job.ParseCode(page.Jobs[0].Code)
			return num, nil
		}
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			return 0, nil
		}
	}
}

func (e *export) overAPI(ctx context.Context, put func(agentapi.Job) error) error {
	client, err := e.remote.connect("read")
	if err != nil {
		return err
	}
	f := agentapi.JobFilter{Agent: e.filter.Agent, Status: string(e.filter.Status), Limit: exportPage}
	if e.filter.Before > 0 {
		newest, err := newestOf(ctx, client)
		if err != nil {
			return notListed(err)
		}
		if newest < e.filter.Before {
			return e.unknownAfter()
		}
		f.Cursor = strconv.FormatInt(e.filter.Before, 36)
	}
	for {
		page, err := client.Jobs(ctx, f)
		if err != nil {
			return notListed(err)
		}
		for _, j := range page.Jobs {
			whole, err := client.Job(ctx, j.ID, 0)
			if p := (*agentapi.Problem)(nil); errors.As(err, &p) && p.Type == agentapi.ProblemUnknownJob {
				continue
			}
			if err != nil {
				return notListed(err)
			}
			if err := put(whole); err != nil {
				return err
			}
		}
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			return nil
		}
	}
}
