package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/command"
	"github.com/letserverrun/skadi/core/job"
)

// send makes a job. Its own status message is the answer.
func (a *ask) send(ctx context.Context, c command.Command) error {
	if strings.TrimSpace(c.Message) == "" {
		return a.emptyMessage(ctx, c.Agent)
	}
	return a.sendTo(ctx, c.Agent, c.Message)
}

// rerun sends the message of an earlier job again, as if it were typed here
// and now: whoever reruns it is its sender, and the rules are asked again.
func (a *ask) rerun(ctx context.Context, code string) error {
	j, ok, err := a.job(ctx, access.Send, code)
	switch {
	case err != nil:
		return err
	case !ok:
		return a.noJob(ctx, code)
	}
	return a.sendTo(ctx, j.Agent, j.Message)
}

func (a *ask) sendTo(ctx context.Context, agent, message string) error {
	if !a.policy.Sees(a.who, a.where, agent) {
		return a.noAgent(ctx, access.Send, agent)
	}
	if err := job.ValidMessage(message, a.jobs.Limits().MessageBytes); err != nil {
		return a.invalid(ctx, agent, err)
	}
	if err := a.checkCallback(); err != nil {
		return a.invalid(ctx, agent, err)
	}
	d := a.decide(access.Send, agent, message)
	if !d.Allowed {
		return a.forbid(ctx, access.Send, agent, "send that to "+agent, d)
	}
	_, err := a.create(ctx, job.Entry{Draft: &job.Draft{
		Space: a.space, Agent: agent, Message: message, Sender: a.m.Sender,
		Conversation: &a.to, CallbackURL: a.m.CallbackURL, NeedsApproval: d.NeedsApproval(),
	}})
	var invalid *job.InvalidError
	switch {
	case errors.Is(err, job.ErrUnknownAgent):
		return a.noAgent(ctx, access.Send, agent)
	case errors.As(err, &invalid):
		return a.invalid(ctx, agent, err)
	}
	return err
}

// checkCallback says why the message's CallbackURL may not be called.
func (a *ask) checkCallback() error {
	url := a.m.CallbackURL
	if url == "" {
		return nil
	}
	if a.callback == nil {
		return &job.InvalidError{Field: "callback_url", Detail: "cannot be called: callbacks are off"}
	}
	if err := a.callback(url); err != nil {
		return &job.InvalidError{Field: "callback_url", Detail: err.Error()}
	}
	return nil
}

// invalid answers a message that no job can have.
func (a *ask) invalid(ctx context.Context, agent string, err error) error {
	var invalid *job.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	why := "the " + invalid.Field + " " + invalid.Detail
	return a.refuse(ctx, refusal{
		action: access.Send, target: agent, why: why,
		text: "Not sent to " + agent + ": " + why + ".",
	})
}

// emptyMessage answers an agent's name with nothing behind it.
func (a *ask) emptyMessage(ctx context.Context, name string) error {
	agent, ok, err := a.agent(ctx, name)
	switch {
	case err != nil:
		return err
	case !ok:
		return a.noAgent(ctx, access.Send, name)
	}
	text := fmt.Sprintf("What should %s do? The message is empty.", name)
	if lines := a.commandLines(agent, maxHelpCommands); len(lines) > 0 {
		text += "\n" + strings.Join(lines, "\n")
	}
	return a.refuse(ctx, refusal{action: access.Send, target: name, why: "the message is empty", text: text})
}

// defaultAgent returns the default agent of this conversation, unless the
// sender may not see it.
func (a *ask) defaultAgent(ctx context.Context) (string, error) {
	name, err := a.defaults.Default(ctx, a.space, a.account, defaultKey(a.m))
	if err != nil || name == "" || !a.policy.Sees(a.who, a.where, name) {
		return "", err
	}
	return name, nil
}

// defaultKey names what a default agent is for: a channel with all of its
// threads, or one person's side of a channel where others cannot read along,
// such as a mailbox that many people write to.
func defaultKey(m chat.Inbound) string {
	key := m.Conversation.Channel
	if key == "" {
		key = m.Conversation.Key
	}
	if m.Direct {
		key += " " + m.Sender.Principal()
	}
	return dedupeKey(key)
}
