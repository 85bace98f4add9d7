package intake

import (
	"context"
	"errors"
	"fmt"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/command"
	"github.com/letserverrun/skadi/core/job"
)

// act carries out a built-in that changes something, and then stores its
// answer. Each is idempotent in itself; that its ID is looked up first keeps
// a late redelivery from undoing what others did since.
func (a *ask) act(ctx context.Context, c command.Command) error {
	done, err := a.jobs.Entered(ctx, a.dedupe)
	if done || err != nil {
		return err
	}
	switch c.Verb {
	case command.Cancel:
		return a.cancel(ctx, c.Code)
	case command.Approve, command.Deny:
		return a.approve(ctx, c.Code, c.Verb == command.Approve)
	case command.Use:
		return a.use(ctx, c)
	default:
		return a.pause(ctx, c.Agent, c.Verb == command.Pause)
	}
}

func (a *ask) cancel(ctx context.Context, code string) error {
	j, ok, err := a.job(ctx, access.Cancel, code)
	switch {
	case err != nil:
		return err
	case !ok:
		return a.noJob(ctx, code)
	}
	name := "#" + j.Code()
	d := a.decideAbout(access.Cancel, j)
	if !d.Allowed {
		return a.forbid(ctx, access.Cancel, name, "cancel "+name, d)
	}
	j, err = a.jobs.Cancel(ctx, a.space, j.ID, a.who)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return a.noJob(ctx, code)
	case err != nil && !errors.Is(err, job.ErrFinal):
		return err
	}
	if err == nil && j.Sender.Principal() != a.who {
		if err := a.recordDone(ctx, access.Cancel, name, d); err != nil {
			return err
		}
	}
	switch {
	case j.Status == job.Canceled:
		return a.say(ctx, answer{text: name + " is canceled."})
	case j.Status.Final():
		return a.say(ctx, answer{text: fmt.Sprintf("%s ended before it could be canceled: it is %s.", name, j.Status), refused: true})
	}
	return a.say(ctx, answer{text: fmt.Sprintf("%s was asked to stop %s.", j.Agent, name)})
}

func (a *ask) approve(ctx context.Context, code string, grant bool) error {
	j, ok, err := a.job(ctx, access.Approve, code)
	switch {
	case err != nil:
		return err
	case !ok:
		return a.noJob(ctx, code)
	}
	name, word := "#"+j.Code(), "deny"
	if grant {
		word = "approve"
	}
	if j.Approval == job.NoApproval {
		return a.say(ctx, answer{text: name + " needs no approval.", refused: true})
	}
	d := a.decideAbout(access.Approve, j)
	if !d.Allowed {
		return a.forbid(ctx, access.Approve, name, word+" "+name, d)
	}
	j, err = a.jobs.Approve(ctx, a.space, j.ID, a.who, grant)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return a.noJob(ctx, code)
	case errors.Is(err, job.ErrConflict):
		return a.say(ctx, alreadyDecided(j, grant))
	case err != nil:
		return err
	}
	if err := a.recordDone(ctx, access.Action(word), name, d); err != nil {
		return err
	}
	return a.say(ctx, decided(j, grant))
}

func decided(j job.Job, grant bool) answer {
	name, message := "#"+j.Code(), quoted(j.Message)
	switch {
	case !grant:
		return answer{text: fmt.Sprintf("Denied: %s does not get %s (%s).", j.Agent, message, name)}
	case j.Status.Final():
		return answer{text: fmt.Sprintf("Approved, but %s is %s and %s did not get %s: `why %s` says why.", name, j.Status, j.Agent, message, j.Code())}
	}
	return answer{text: fmt.Sprintf("Approved: %s gets %s (%s).", j.Agent, message, name)}
}

// alreadyDecided answers a decision about a job that does not wait for one
// any more. That it stands as was asked is no refusal: it may be this very
// message's doing, before a crash.
func alreadyDecided(j job.Job, grant bool) answer {
	name := "#" + j.Code()
	switch j.Approval {
	case job.ApprovalGranted:
		return answer{text: name + " is approved already.", refused: !grant}
	case job.ApprovalDenied:
		return answer{text: name + " is denied already.", refused: grant}
	}
	return answer{text: fmt.Sprintf("%s does not wait for approval any more: it is %s.", name, j.Status), refused: true}
}

func (a *ask) use(ctx context.Context, c command.Command) error {
	switch {
	case c.Clear:
		if err := a.setDefault(ctx, ""); err != nil {
			return err
		}
		return a.say(ctx, answer{text: "No default agent here any more: begin a message with an agent's name."})
	case c.Agent == "":
		return a.showDefault(ctx)
	}
	_, ok, err := a.agent(ctx, c.Agent)
	switch {
	case err != nil:
		return err
	case !ok:
		return a.noAgent(ctx, access.Send, c.Agent)
	case !a.policy.MaySend(a.who, a.where, c.Agent):
		// Nobody directs other people's messages to where they may send none.
		d := access.Decision{Missing: "no rule lets " + a.who + " send anything to " + c.Agent + " in " + a.where}
		return a.forbid(ctx, access.Send, c.Agent, "use "+c.Agent, d)
	}
	if err := a.setDefault(ctx, c.Agent); err != nil {
		return err
	}
	return a.say(ctx, answer{text: fmt.Sprintf("From now on, what names no agent goes to %s here. `use -` ends that.", c.Agent)})
}

func (a *ask) setDefault(ctx context.Context, agent string) error {
	return a.defaults.SetDefault(ctx, a.space, a.account, defaultKey(a.m), agent)
}

func (a *ask) showDefault(ctx context.Context) error {
	name, err := a.defaultAgent(ctx)
	if err != nil {
		return err
	}
	if name == "" {
		return a.say(ctx, answer{text: "There is no default agent here. `use <agent>` sets one."})
	}
	return a.say(ctx, answer{text: fmt.Sprintf("What names no agent goes to %s here. `use -` ends that.", name)})
}

// pause pauses or resumes an agent.
func (a *ask) pause(ctx context.Context, name string, pause bool) error {
	agent, ok, err := a.agent(ctx, name)
	switch {
	case err != nil:
		return err
	case !ok:
		return a.noAgent(ctx, access.Pause, name)
	}
	word, change := "resume", a.jobs.Resume
	if pause {
		word, change = "pause", a.jobs.Pause
	}
	d := a.decide(access.Pause, name, "")
	if !d.Allowed {
		return a.forbid(ctx, access.Pause, name, word+" "+name, d)
	}
	if pause && !agent.PausedAt.IsZero() && agent.PausedBy != a.who {
		return a.say(ctx, answer{text: fmt.Sprintf("%s is paused already, by %s.", name, agent.PausedBy)})
	}
	err = change(ctx, a.space, name, a.who)
	switch {
	case errors.Is(err, job.ErrNotFound), errors.Is(err, job.ErrUnknownAgent):
		return a.noAgent(ctx, access.Pause, name)
	case err != nil:
		return err
	}
	if err := a.recordDone(ctx, access.Action(word), name, d); err != nil {
		return err
	}
	if pause {
		return a.say(ctx, answer{text: fmt.Sprintf("%s is paused: it takes no jobs until `resume %s`. What it runs now goes on.", name, name)})
	}
	return a.say(ctx, answer{text: name + " takes jobs again."})
}

// recordDone puts something that was allowed on record.
func (a *ask) recordDone(ctx context.Context, action access.Action, target string, d access.Decision) error {
	r := a.record(action, target, d.Rule)
	r.Allowed = true
	_, err := a.auditor.Record(ctx, r)
	return err
}
