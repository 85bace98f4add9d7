package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/httpapi"
	"github.com/letserverrun/skadi/core/job"
)

const (
	defaultJobs = 20
	maxJobs     = 1000
	// messageColumn is how much of a message the table shows, in characters.
	messageColumn = 48
)

func jobsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "jobs",
		Short: "List jobs, show one, and say why it went as it did",
		Long:  "Reads the database itself, also while the server runs.",
		Example: `  skadi jobs
  skadi jobs --agent web-1 --status failed
  skadi jobs show k7f3q2
  skadi jobs why k7f3q2`,
	}
	db := databaseFlags(c)
	var f job.Filter
	var status string
	var asJSON bool
	c.Args = exactly()
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		f.Space, f.Status = job.DefaultSpace, job.Status(status)
		if status != "" && !f.Status.Valid() {
			return usage("--status must be queuing, sent, succeeded, failed, expired or canceled, not %q", status)
		}
		if f.Limit < 1 || f.Limit > maxJobs {
			return usage("--limit must be 1 to %d", maxJobs)
		}
		o, err := db.open(c.Context(), false)
		if err != nil {
			return err
		}
		defer func() { err = joined(err, o.store.Close) }()
		jobs, err := o.jobs.Jobs(c.Context(), f)
		if err != nil {
			return err
		}
		if asJSON {
			return printJobs(c.OutOrStdout(), jobs)
		}
		return tableOfJobs(c.OutOrStdout(), jobs, time.Now())
	}
	flags := c.Flags()
	flags.StringVar(&f.Agent, "agent", "", "only jobs of this agent")
	flags.StringVar(&status, "status", "", "only jobs with this status")
	flags.IntVar(&f.Limit, "limit", defaultJobs, "how many, newest first")
	jsonFlag(c, &asJSON)
	completeFlag(c, "agent", completeAgents(db))
	completeStatus(c)
	for _, sub := range []*cobra.Command{jobsShow(db), jobsWhy(db)} {
		sub.ValidArgsFunction = completeJobCodes(db)
		c.AddCommand(sub)
	}
	return c
}

func printJobs(w io.Writer, jobs []job.Job) error {
	list := agentapi.JobList{Jobs: make([]agentapi.Job, 0, len(jobs))}
	for _, j := range jobs {
		list.Jobs = append(list.Jobs, httpapi.WireJob(j))
	}
	return printJSON(w, list)
}

func tableOfJobs(w io.Writer, jobs []job.Job, now time.Time) error {
	rows := make([][]string, 0, len(jobs))
	for _, j := range jobs {
		rows = append(rows, []string{
			"#" + j.Code(), standing(j), j.Agent, oneLine(j.Message, messageColumn),
			j.Sender.Principal(), ago(j.CreatedAt, now),
		})
	}
	return printTable(w, []string{"CODE", "STATUS", "AGENT", "MESSAGE", "ASKED BY", "CREATED"}, rows)
}

func statusText(s job.Status, r job.Reason) string {
	if r == "" {
		return string(s)
	}
	return fmt.Sprintf("%s (%s)", s, r)
}

// standing is the job's status, and that it waits for approval if it does.
func standing(j job.Job) string {
	text := statusText(j.Status, j.Reason)
	if j.Approval == job.ApprovalWaiting && !j.Status.Final() {
		text += ", waiting for approval"
	}
	return text
}

func jobsShow(db *database) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "show CODE|ID",
		Short:   "Show one job with its output",
		Example: "  skadi jobs show k7f3q2\n  skadi jobs show k7f3q2 --json",
		Args:    exactly("CODE"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			o, err := db.open(c.Context(), false)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, o.store.Close) }()
			j, err := o.find(c.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), httpapi.WireJob(j))
			}
			return showJob(c.OutOrStdout(), j)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// find returns a job by its code or its ID.
func (o *opened) find(ctx context.Context, name string) (job.Job, error) {
	j, err := o.jobs.JobByCode(ctx, job.DefaultSpace, name)
	if errors.Is(err, job.ErrNotFound) {
		j, err = o.jobs.Job(ctx, job.DefaultSpace, name)
	}
	if errors.Is(err, job.ErrNotFound) {
		return j, usage("there is no job %q; see `skadi jobs`", name)
	}
	return j, err
}

func showJob(w io.Writer, j job.Job) error {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-9s %s\n", name, safeText(w, fmt.Sprintf(format, args...)))
	}
	line("job", "#%s  %s", j.Code(), j.ID)
	line("status", "%s", standing(j))
	if next := job.Outlook(j); next != "" {
		line("next", "%s", next)
	}
	line("agent", "%s", j.Agent)
	line("message", "%s", j.Message)
	line("asked by", "%s %s", j.Sender.Principal(), j.Sender.Name)
	line("created", "%s", stamp(j.CreatedAt))
	if !j.SentAt.IsZero() {
		line("sent", "%s", stamp(j.SentAt))
	}
	if !j.FinishedAt.IsZero() {
		line("finished", "%s", stamp(j.FinishedAt))
	}
	if j.Result == nil {
		return nil
	}
	if j.Result.ExitCode != nil {
		line("exit code", "%d", *j.Result.ExitCode)
	}
	if j.Result.Truncated {
		line("output", "cut: head and tail are kept")
	}
	_, err := fmt.Fprintf(w, "\n%s\n", safeText(w, j.Result.Output))
	return err
}

func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000 -0700") }

func jobsWhy(db *database) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "why CODE|ID",
		Short:   "Tell the history of a job, or of a refusal by its code",
		Example: "  skadi jobs why k7f3q2\n  skadi jobs why r-4m8s1wqz",
		Args:    exactly("CODE"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			o, err := db.open(c.Context(), false)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, o.store.Close) }()
			if r, ok, err := o.auditor.Find(c.Context(), job.DefaultSpace, args[0]); err != nil || ok {
				if err != nil {
					return err
				}
				return showRefusal(c.OutOrStdout(), r, asJSON)
			}
			j, err := o.find(c.Context(), args[0])
			if err != nil {
				return err
			}
			history, err := o.jobs.History(c.Context(), job.DefaultSpace, j.ID)
			if err != nil {
				return err
			}
			return showHistory(c.OutOrStdout(), j, history, asJSON)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// shownEvent is one line of a job's history as JSON shows it.
type shownEvent struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Status string    `json:"status,omitempty"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	Text   string    `json:"text,omitempty"`
}

func showHistory(w io.Writer, j job.Job, history []job.Event, asJSON bool) error {
	if asJSON {
		events := make([]shownEvent, 0, len(history))
		for _, e := range history {
			events = append(events, shownEvent{
				At: e.At.UTC(), Kind: string(e.Kind), Status: string(e.Status), Reason: string(e.Reason), By: e.By, Text: eventText(e, j),
			})
		}
		shown := map[string]any{"job": httpapi.WireJob(j), "history": events}
		if next := job.Outlook(j); next != "" {
			shown["next"] = next
		}
		return printJSON(w, shown)
	}
	fmt.Fprintf(w, "#%s  %s %s  asked by %s\n", j.Code(), j.Agent, oneLine(j.Message, messageColumn), j.Sender.Principal())
	rows := make([][]string, 0, len(history))
	for _, e := range history {
		rows = append(rows, []string{stamp(e.At), statusText(e.Status, e.Reason), e.By, oneLine(eventText(e, j), 200)})
	}
	if err := printTable(w, []string{"AT", "STATUS", "BY", "WHY"}, rows); err != nil {
		return err
	}
	if next := job.Outlook(j); next != "" {
		fmt.Fprintln(w, next)
	}
	return nil
}

func eventText(e job.Event, j job.Job) string {
	if text := job.Explain(e, j); text != "" {
		return text
	}
	return e.Text
}

func showRefusal(w io.Writer, r access.Record, asJSON bool) error {
	if asJSON {
		return printJSON(w, map[string]any{
			"code": r.Code, "at": r.At.UTC(), "who": r.Who, "where": r.Where, "action": r.Action,
			"target": r.Target, "text": r.Text, "allowed": r.Allowed, "why": r.Why,
		})
	}
	verb := "refused"
	if r.Allowed {
		verb = "allowed"
	}
	_, err := fmt.Fprintf(w, "%s  %s  %s of %s by %s was %s\n  %s\n",
		r.Code, stamp(r.At), r.Action, r.Target, r.Who, verb, safeText(w, r.Why))
	return err
}
