package intake

import (
	"context"
	"errors"

	"github.com/letserverrun/skadi/core/command"
	"github.com/letserverrun/skadi/core/job"
)

// introduction is what Skadi says where it was added. It tells nothing that
// only some may know.
const introduction = "Hello, this is Skadi. Tell me an agent's name and what it should do, and the answer comes back here. " +
	"`help` shows what you may ask for, `agents` who is there."

// follow carries out what is a command to an agent or about a job, and passes
// over everything else: people talk in a thread, to each other.
func (a *ask) follow(ctx context.Context) error {
	if !a.policy.Known(a.who) || faultOf(a.m.Text, a.jobs.Limits().MessageBytes+preambleBytes) != "" {
		return nil
	}
	var failed error
	cmd := command.Parse(a.m.Text, command.Context{Prefixes: a.prefixes, Agent: func(name string) bool {
		_, ok, err := a.agent(ctx, name)
		failed = errors.Join(failed, err)
		return ok
	}})
	switch {
	case failed != nil:
		return failed
	case cmd.Misused, cmd.Verb == command.Unknown, cmd.Verb == command.Nothing:
		return nil
	}
	if cmd.Code != "" {
		if known, err := a.knows(ctx, cmd.Code); err != nil || !known {
			return err // "why though" is no question to Skadi
		}
	}
	if a.m.Refused != "" {
		return a.refusedByChannel(ctx)
	}
	return a.carryOut(ctx, cmd)
}

// knows reports whether the code is that of a job or a refusal that the sender
// may see.
func (a *ask) knows(ctx context.Context, code string) (bool, error) {
	j, err := a.jobs.JobByCode(ctx, a.space, code)
	if err == nil {
		return a.sees(j), nil
	}
	if !errors.Is(err, job.ErrNotFound) {
		return false, err
	}
	r, found, err := a.auditor.Find(ctx, a.space, code)
	return found && r.Who == a.who, err
}
