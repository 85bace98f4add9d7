package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/core/job"
)

// newLocalAgent makes the agent that `up` brings along. It is an agent like
// any other: it calls the server over HTTP, with a token of its own, which is
// made anew at each start and never written down.
func newLocalAgent(ctx context.Context, n *node, server, dir string, drain time.Duration, log *slog.Logger) (*agent.Agent, error) {
	known, err := n.jobs.Agent(ctx, job.DefaultSpace, localAgent)
	if errors.Is(err, job.ErrNotFound) {
		known, err = n.jobs.CreateAgent(ctx, job.DefaultSpace, localAgent)
	}
	if err != nil {
		return nil, fmt.Errorf("the agent %s: %w", localAgent, err)
	}
	token, err := n.tokens.Rotate(ctx, job.DefaultSpace, known.ID, known.Name)
	if err != nil {
		return nil, fmt.Errorf("the token of the agent %s: %w", localAgent, err)
	}
	a, err := agent.New(agent.Config{
		Server:       server,
		Token:        token.Reveal(),
		StateDir:     filepath.Join(dir, agentFolder),
		Version:      currentVersion().Version,
		DrainTimeout: drain,
		Logger:       log,
	})
	if err != nil {
		return nil, err
	}
	for _, c := range localCommands(aSecond) {
		a.HandleCommand(agent.Command{Name: c.name, Usage: c.usage, Help: c.help},
			func(ctx context.Context, j *agent.Job) (agent.Result, error) {
				return agent.Result{}, c.run(ctx, j.Args, j)
			})
	}
	return a, nil
}
