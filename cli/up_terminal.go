package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/letserverrun/skadi/adapters/terminal"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// terminalAccount is the adapter account of `up`.
const terminalAccount = "terminal"

// owner is the principal of who sits at the terminal; they may do everything.
func owner() string { return chat.Sender{Account: terminalAccount, User: userName()}.Principal() }

// addTerminal adds the account through which the person, or the pipe, talks.
func addTerminal(n *node, in io.Reader, out io.Writer) (*terminal.Adapter, error) {
	term, err := terminal.New(terminal.Config{User: userName(), In: in, Out: out}, n.env(n.cfg, terminalAccount))
	if err != nil {
		return nil, fmt.Errorf("adapter %s: %w", terminalAccount, err)
	}
	return term, n.addAccount(terminalAccount, terminal.Kind, term)
}

// session is the end of one run of `up`: what is waited for, and how it went.
type session struct {
	node *node
	term *terminal.Adapter
	err  io.Writer
	// hurry ends when nothing is to be waited for any more.
	hurry context.Context
}

// finish returns once what was begun is done: after the end of a pipe every
// message is answered, after a Ctrl-C what the agent runs is. stopAgent makes
// the agent take nothing more, agentEnded tells that it has drained.
func (s *session) finish(pipe context.Context, stopAgent func(), agentEnded <-chan error) error {
	piped := !s.term.Interactive()
	if piped {
		if err := s.term.Wait(pipe); err != nil && pipe.Err() == nil {
			return err
		}
	}
	if err := s.tellOpen(); err != nil {
		return err
	}
	stopAgent()
	select {
	case err := <-agentEnded:
		if err != nil {
			return fmt.Errorf("the agent %s: %w", localAgent, err)
		}
	case <-s.hurry.Done():
		return errors.New("stopped at once; what was running is reported as interrupted at the next start")
	}
	s.node.settle(s.hurry)
	if piped && (!s.term.Outcome().OK() || s.term.Pending() > 0) {
		return exitWith(exitFailed)
	}
	return nil
}

// tellOpen says what is waited for, and what is left for the next start.
func (s *session) tellOpen() error {
	here, elsewhere, err := s.names(job.Sent)
	if err != nil {
		return err
	}
	waiting, others, err := s.names(job.Queuing)
	if err != nil {
		return err
	}
	if len(here) > 0 {
		fmt.Fprintf(s.err, "still running, and waited for: %s\nCtrl-C again ends at once\n", strings.Join(here, ", "))
	}
	if len(elsewhere) > 0 {
		fmt.Fprintf(s.err, "still running on other agents, and told at the next start: %s\n", strings.Join(elsewhere, ", "))
	}
	if waiting = append(waiting, others...); len(waiting) > 0 {
		fmt.Fprintf(s.err, "not taken yet, and left for the next start: %s\n", strings.Join(waiting, ", "))
	}
	return nil
}

// names lists the terminal's jobs with that status, the oldest first: those of
// the agent that ends with `up`, and those of others.
func (s *session) names(status job.Status) (here, elsewhere []string, err error) {
	jobs, err := s.node.jobs.Jobs(s.hurry, job.Filter{Space: job.DefaultSpace, Status: status, Limit: maxJobs})
	if err != nil {
		return nil, nil, err
	}
	for i := len(jobs) - 1; i >= 0; i-- {
		j := jobs[i]
		if j.Sender.Account != terminalAccount {
			continue
		}
		name := fmt.Sprintf("#%s (%s %s)", j.Code(), j.Agent, oneLine(j.Message, messageColumn))
		if j.Agent == localAgent {
			here = append(here, name)
		} else {
			elsewhere = append(elsewhere, name)
		}
	}
	return here, elsewhere, nil
}
