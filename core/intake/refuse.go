package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/command"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/nearest"
)

// refusal is something that was asked for and not done.
type refusal struct {
	action access.Action
	target string // the agent or job
	// why is for the audit log, text for the sender.
	why, text string
	// silent leaves the record's code out of the answer.
	silent bool
}

// refuse records the refusal and answers it, once.
func (a *ask) refuse(ctx context.Context, r refusal) error {
	// A redelivery would be refused again in the program's log.
	if done, err := a.jobs.Entered(ctx, a.dedupe); done || err != nil {
		return err
	}
	code, err := a.auditor.Refuse(ctx, a.record(r.action, r.target, r.why))
	if err != nil {
		return err
	}
	if !r.silent {
		r.text += "\nThis refusal is " + code + "."
	}
	return a.say(ctx, answer{text: r.text, refused: true})
}

// refusedByChannel answers what the adapter has nothing be done of.
func (a *ask) refusedByChannel(ctx context.Context) error {
	return a.refuse(ctx, refusal{action: access.Send, why: "refused by its channel: " + a.m.Refused, text: a.m.Refused})
}

// record is a line of the audit log about this message.
func (a *ask) record(action access.Action, target, why string) access.Record {
	return access.Record{
		ID: a.m.ID, Space: a.space, At: a.now, Who: a.who, Name: a.m.Sender.Name, Where: a.where,
		Action: string(action), Target: target, Text: storable(a.m.Text), Why: why,
	}
}

// storable replaces what some databases do not keep in text.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\u2400")
}

// forbid refuses what no rule allows, about an agent or job that the sender may
// see; so the missing rule may be named.
func (a *ask) forbid(ctx context.Context, action access.Action, target, what string, d access.Decision) error {
	return a.refuse(ctx, refusal{
		action: action, target: target, why: d.Missing,
		text: "You may not " + what + ": " + d.Missing + ".",
	})
}

// noAgent answers somebody who named an agent that does not exist, or not for
// them; both look the same.
func (a *ask) noAgent(ctx context.Context, action access.Action, name string) error {
	visible, err := a.visibleAgents(ctx)
	if err != nil {
		return err
	}
	if err := a.recordHidden(ctx, action, name); err != nil {
		return err
	}
	return a.say(ctx, answer{
		text:    fmt.Sprintf("There is no agent %s that you may use.", quoted(name)) + hint(name, names(visible), ""),
		refused: true,
	})
}

// unknown answers text that begins with neither an agent nor a built-in.
func (a *ask) unknown(ctx context.Context, c command.Command) error {
	visible, err := a.visibleAgents(ctx)
	if err != nil {
		return err
	}
	if err := a.recordHidden(ctx, access.Send, c.Agent); err != nil {
		return err
	}
	known := names(visible)
	for _, b := range command.Builtins() {
		known = append(known, string(b.Verb))
	}
	return a.say(ctx, answer{
		text: fmt.Sprintf("%s is no agent that you may use and no command.", quoted(c.Word)) +
			hint(c.Agent, known, " `help` shows what you can do."),
		refused: true,
	})
}

// recordHidden puts an attempt at an agent that exists, but not for the
// sender, on record. They are not told its code, which would tell them that
// the agent exists.
func (a *ask) recordHidden(ctx context.Context, action access.Action, name string) error {
	if job.ValidAgentName(name) != nil || a.policy.Sees(a.who, a.where, name) {
		return nil
	}
	_, err := a.jobs.Agent(ctx, a.space, name)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	_, err = a.auditor.Refuse(ctx, a.record(action, name, "no rule lets "+a.who+" see "+name+" in "+a.where))
	return err
}

// hint names what was probably meant, or else says otherwise.
func hint(name string, known []string, otherwise string) string {
	if near, ok := nearest.Name(name, known); ok {
		return " Did you mean `" + near + "`?"
	}
	return otherwise
}

// noJob answers somebody who named a job that does not exist, or not for
// them; both look the same.
func (a *ask) noJob(ctx context.Context, code string) error {
	return a.say(ctx, answer{text: fmt.Sprintf("There is no job %s that you may see.", quoted("#"+code)), refused: true})
}

func misused(v command.Verb) answer {
	b, _ := command.Lookup(string(v))
	return answer{text: fmt.Sprintf("Type it like this: `%s` (%s).", b.Usage, b.Help), refused: true}
}
