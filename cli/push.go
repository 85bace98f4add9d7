package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/internal/service"
)

const (
	// pushPatience is for how long a push is sent again while the server is out
	// of reach or overloaded, which is long enough for a restart or a failover.
	// Its idempotency key makes the tries one job.
	pushPatience = 30 * time.Second
	// pushPause is the pause after the first try; it doubles, up to longestPause.
	pushPause    = 300 * time.Millisecond
	longestPause = 4 * time.Second
	// cancelPatience is how long the server has to take in what a signal finds
	// under way: the push itself, and then the cancel.
	cancelPatience = 5 * time.Second
	// defaultPushTimeout is beyond the longest that a job lives with the
	// server's own defaults: an hour to be taken and an hour to run.
	defaultPushTimeout = 3 * time.Hour
)

func pushCommand() *cobra.Command {
	p := &push{}
	c := &cobra.Command{
		Use:   "push AGENT MESSAGE...",
		Short: "Send a message to an agent; with --wait, show its output and result",
		Long: `Sends a message to an agent, as a chat would. With --wait the agent's output
comes on standard output while it runs, and what becomes of the job on standard
error and as the exit code. The words of the message are joined with one space.

The server's address comes from --server or SKADI_SERVER, the token from
--token-file or SKADI_TOKEN; an admin or push token will do. Without --wait the
job's code is printed, and exit code 0 means that the job was taken in.

While the server is out of reach or answers that it cannot now, the message is sent
again for 30s, or for --timeout if that is shorter; that makes one job all the same.

Ctrl-C (or SIGTERM) while waiting asks for the job to be canceled and waits for
what comes of it; a second one leaves within seconds.

Exit codes: 0 succeeded, 1 failed, 2 wrong usage or refused by the server,
3 expired, 4 canceled, 5 no answer: server out of reach, or --timeout is over.`,
		Example: `  skadi push --wait web-1 deploy v1.2.3
  skadi push --wait --timeout 10m web-1 -- deploy v1.2.3 --force
  skadi push --wait --github-log web-1 deploy "$GITHUB_SHA"
  SKADI_SERVER=https://skadi.example.com SKADI_TOKEN=skd_… skadi push web-1 status`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly("AGENT", "MESSAGE")(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			p.out, p.err = c.OutOrStdout(), c.ErrOrStderr()
			return p.run(c.Context(), args[0], strings.Join(args[1:], " "))
		},
	}
	f := c.Flags()
	f.BoolVar(&p.wait, "wait", false, "wait for the result and show the output as it comes")
	p.flags(c)
	f.DurationVar(&p.timeout, "timeout", defaultPushTimeout, "how long to try to send, 30s at most, and then with --wait to wait; the job goes on after that")
	f.StringVar(&p.key, "idempotency-key", "", "pushes with the same key make one job")
	f.BoolVar(&p.actions, "github-log", false, "with --wait: write for the log of GitHub Actions, where output is else read for commands")
	f.StringVar(&p.idFile, "id-file", "", "a file to write the job's ID to, once the job is taken in, for who cancels it")
	jsonFlag(c, &p.json)
	return c
}

// push is one run of `skadi push`.
type push struct {
	remote
	wait    bool
	timeout time.Duration
	key     string
	json    bool
	actions bool
	idFile  string

	out, err io.Writer
	client   *agentapi.Client
}

func (p *push) run(ctx context.Context, agent, message string) error {
	var err error
	if p.client, err = p.connect("push"); err != nil {
		return err
	}
	if p.timeout <= 0 {
		return usage("--timeout must be longer than 0")
	}
	if p.actions && (p.json || !p.wait) {
		return usage("--github-log goes with --wait, and not with --json")
	}
	if p.key == "" {
		p.key = "push-" + rand.Text()
	}
	first, second, stop := service.Interrupts(ctx)
	defer stop()

	j, err := p.send(first, second, agentapi.Push{Agent: agent, Message: message})
	if err != nil {
		return refused(err)
	}
	if p.idFile != "" {
		if err := os.WriteFile(p.idFile, []byte(j.ID+"\n"), 0o600); err != nil {
			fmt.Fprintf(p.err, "#%s was sent, and --id-file cannot be written: %v\n", j.Code, err)
		}
	}
	if !p.wait {
		return p.accepted(j)
	}
	if !j.Final() {
		fmt.Fprintf(p.err, "#%s %s\n", j.Code, takenIn(j))
	}
	return p.follow(first, second, j)
}

// refused gives an error of the server or the network its exit code.
func refused(err error) error {
	var problem *agentapi.Problem
	if !errors.As(err, &problem) {
		return &exitError{code: exitNoAnswer, err: fmt.Errorf("the server did not answer: %w", err)}
	}
	if problem.Temporary() {
		return &exitError{code: exitNoAnswer, err: fmt.Errorf("the server cannot take it now: %w", err)}
	}
	text := problem.Error()
	if problem.Rule != "" && !strings.Contains(text, problem.Rule) {
		text += "; missing is " + problem.Rule
	}
	return usage("refused: %s", text)
}

// takenIn says what a job waits for that the server has taken in and that is
// not final.
func takenIn(j agentapi.Job) string {
	at := job.Job{Agent: j.Agent, Status: job.Status(j.Status), Approval: job.Approval(j.Approval)}
	switch {
	case at.Status != job.Queuing:
		return "sent to " + j.Agent
	case at.Approval != job.ApprovalWaiting:
		return "queued for " + j.Agent
	}
	at.Num, _ = job.ParseCode(j.Code)
	if j.DeadlineAt != nil {
		at.DueAt = *j.DeadlineAt
	}
	return "needs an approval. " + job.Outlook(at)
}

// accepted tells of a job that is not waited for.
func (p *push) accepted(j agentapi.Job) error {
	if p.json {
		if err := printJSON(p.out, j); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintln(p.out, j.Code); err != nil {
		return err
	}
	if !j.Final() {
		if j.Approval == string(job.ApprovalWaiting) {
			fmt.Fprintf(p.err, "#%s %s\n", j.Code, takenIn(j))
		}
		return nil
	}
	p.tell(j)
	return exitWith(exitOf(j))
}

// follow shows the output until the job is final. When first ends, the job is
// canceled; when second ends, nothing is waited for but the answer to that.
func (p *push) follow(first, second context.Context, j agentapi.Job) error {
	ctx, cancel := context.WithTimeout(second, p.timeout)
	defer cancel()
	canceling := make(chan bool, 1)
	go func() {
		select {
		case <-first.Done():
		case <-ctx.Done():
		}
		canceling <- first.Err() != nil && p.cancel(ctx, j)
	}()
	final, err := p.show(ctx, j)
	cancel()
	canceled := <-canceling
	switch {
	case err == nil:
	case second.Err() != nil && canceled:
		return &exitError{code: exitNoAnswer, err: fmt.Errorf("#%s is asked to stop: left without waiting for what comes of it", j.Code)}
	case second.Err() != nil:
		return &exitError{code: exitNoAnswer, err: fmt.Errorf("#%s may still run: left without waiting for it", j.Code)}
	case errors.Is(err, context.DeadlineExceeded):
		return &exitError{code: exitNoAnswer, err: fmt.Errorf("#%s is not final after %s; it goes on without being watched", j.Code, p.timeout)}
	default:
		return refused(err)
	}
	if p.json {
		if err := printJSON(p.out, final); err != nil {
			return err
		}
	}
	p.tell(final)
	return exitWith(exitOf(final))
}

// show prints the output as it comes, and returns the job when it is final.
func (p *push) show(ctx context.Context, j agentapi.Job) (agentapi.Job, error) {
	if p.actions {
		log := actionsLog{w: p.out}
		log.begin(j)
		defer log.end()
	}
	shown := &liveText{w: p.out, quiet: p.json}
	final, err := p.client.JobOutput(ctx, j.ID, 0, shown.piece)
	// Of a job that is left, there is no more than what was shown.
	return final, errors.Join(err, shown.end(final))
}

// cancel asks for the job to be canceled after a Ctrl-C, and reports whether
// the server has taken that in. The end of ctx does not keep it from asking.
func (p *push) cancel(ctx context.Context, j agentapi.Job) bool {
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), cancelPatience)
	defer end()
	fmt.Fprintf(p.err, "\ncanceling #%s; Ctrl-C again leaves within seconds\n", j.Code)
	_, _, err := p.client.Cancel(ctx, j.ID)
	var problem *agentapi.Problem
	if err != nil && (!errors.As(err, &problem) || problem.Type != agentapi.ProblemJobFinal) {
		fmt.Fprintf(p.err, "cannot cancel #%s: %v\n", j.Code, err)
	}
	return err == nil
}

// tell says on standard error what became of the job.
func (p *push) tell(j agentapi.Job) {
	text := j.Status
	if j.Reason != "" {
		text += " (" + j.Reason + ")"
	}
	if j.Reason == string(job.AgentOffline) {
		text += ": " + j.Agent + " is offline"
	}
	if j.Result != nil && j.Result.ExitCode != nil && *j.Result.ExitCode != 0 {
		text += fmt.Sprintf(", exit code %d", *j.Result.ExitCode)
	}
	if j.SentAt != nil && j.FinishedAt != nil {
		text += " after " + j.FinishedAt.Sub(*j.SentAt).Round(time.Millisecond).String()
	}
	fmt.Fprintf(p.err, "#%s %s\n", j.Code, text)
	if p.actions && exitOf(j) != exitOK {
		(&actionsLog{w: p.out}).annotate(j, text)
	}
}

// exitOf is the exit code of a final job.
func exitOf(j agentapi.Job) int {
	switch j.Status {
	case "succeeded":
		return exitOK
	case "expired":
		return exitExpired
	case "canceled":
		return exitCanceled
	}
	return exitFailed
}
