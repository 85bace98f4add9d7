package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/letserverrun/skadi/agentd/agent"
)

// confirmedAgent takes jobs as agentd does, with its library: each is offered,
// confirmed, kept in the journal on disk, run and reported.
type confirmedAgent struct {
	cancel context.CancelFunc
	done   chan error
}

// confirmedAtOnce is how many jobs the agent runs at once, like asynq's workers.
const confirmedAtOnce = 50

func startConfirmed(l skadiLoad, b *book) (*confirmedAgent, error) {
	a, err := agent.New(agent.Config{
		Server: "http://" + l.AgentAddr, Token: l.AgentToken, StateDir: filepath.Join(l.StateDir, "agent"),
		Concurrency: confirmedAtOnce,
		Logger:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &confirmedAgent{cancel: cancel, done: make(chan error, 1)}
	a.Handle("job", func(_ context.Context, j *agent.Job) (agent.Result, error) {
		b.start(jobNumber(j.Message))
		return agent.Result{Output: "ok"}, nil
	})
	go func() { c.done <- a.Run(ctx) }()
	select {
	case <-a.Online():
		return c, nil
	case err := <-c.done:
		cancel()
		return nil, errors.Join(errors.New("the agent ended before it was online"), err)
	}
}

func (c *confirmedAgent) failed() <-chan error { return c.done }

func (c *confirmedAgent) polls() int { return 0 } // it does not tell

func (c *confirmedAgent) stop() error {
	c.cancel()
	return <-c.done
}
