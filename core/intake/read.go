package intake

import (
	"context"
	"fmt"
	"strings"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/command"
	"github.com/letserverrun/skadi/core/job"
)

const (
	// maxJobs is how many jobs `jobs` lists.
	maxJobs = 10
	// liveBatch is how many chunks of live output are read at a time, and
	// maxLiveBatches how often.
	liveBatch      = 500
	maxLiveBatches = 20
)

// read carries out a built-in that only reads, and stores its answer.
func (a *ask) read(ctx context.Context, c command.Command) error {
	var ans answer
	var err error
	switch c.Verb {
	case command.Agents:
		ans, err = a.agents(ctx)
	case command.Jobs:
		if c.Agent != "" && !a.policy.Sees(a.who, a.where, c.Agent) {
			return a.noAgent(ctx, access.See, c.Agent)
		}
		ans, err = a.listJobs(ctx, c.Agent)
	case command.Job:
		return a.showJob(ctx, c.Code)
	case command.Output:
		return a.showOutput(ctx, c.Code, c.Page)
	case command.Why:
		return a.why(ctx, c.Code)
	case command.Whoami:
		ans = a.whoami()
	default:
		return a.help(ctx, c.Agent)
	}
	if err != nil {
		return err
	}
	return a.say(ctx, ans)
}

func (a *ask) agents(ctx context.Context) (answer, error) {
	agents, err := a.visibleAgents(ctx)
	if err != nil {
		return answer{}, err
	}
	if len(agents) == 0 {
		return answer{text: "There is no agent that you may see here."}, nil
	}
	now, err := a.jobs.Now(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{text: agentsTable(agents, a.jobs.Online, now)}, nil
}

func (a *ask) listJobs(ctx context.Context, agent string) (answer, error) {
	jobs, err := a.visibleJobs(ctx, agent, maxJobs)
	if err != nil {
		return answer{}, err
	}
	if len(jobs) == 0 {
		if agent != "" {
			return answer{text: "There are no jobs of " + agent + " that you may see."}, nil
		}
		return answer{text: "There are no jobs yet that you may see."}, nil
	}
	now, err := a.jobs.Now(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{text: jobsTable(jobs, now)}, nil
}

func (a *ask) showJob(ctx context.Context, code string) error {
	j, ok, err := a.job(ctx, access.SeeJobs, code)
	switch {
	case err != nil:
		return err
	case !ok:
		return a.noJob(ctx, code)
	}
	output := ""
	if j.Result != nil {
		output = j.Result.Output
	} else if !j.SentAt.IsZero() {
		if output, err = a.liveOutput(ctx, j.ID); err != nil {
			return err
		}
	}
	now, err := a.jobs.Now(ctx)
	if err != nil {
		return err
	}
	return a.say(ctx, answer{text: jobText(j, output, now)})
}

// showOutput has all of a job's output shown as the channel can: only whoever
// tells it knows how much a message takes there.
func (a *ask) showOutput(ctx context.Context, code string, page int) error {
	j, ok, err := a.job(ctx, access.SeeJobs, code)
	switch {
	case err != nil:
		return err
	case !ok:
		return a.noJob(ctx, code)
	}
	return a.reply(ctx, job.Event{
		Agent: j.Agent, Num: j.Num, Output: page,
		Text: fmt.Sprintf("The output of #%s, page %d.", j.Code(), page),
	})
}

// liveOutput is what a job without a result has put out so far.
func (a *ask) liveOutput(ctx context.Context, id string) (string, error) {
	var b strings.Builder
	after := int64(0)
	for range maxLiveBatches {
		chunks, err := a.jobs.LiveOutput(ctx, a.space, id, after, liveBatch)
		if err != nil {
			return "", err
		}
		for _, c := range chunks {
			if after > 0 && c.Seq != after+1 {
				b.WriteString("\n…\n")
			}
			b.WriteString(c.Text)
			after = c.Seq
		}
		if len(chunks) < liveBatch {
			break
		}
	}
	return b.String(), nil
}

func (a *ask) why(ctx context.Context, code string) error {
	if refused, ok := access.ParseAuditCode(code); ok {
		return a.whyRefused(ctx, refused)
	}
	j, ok, err := a.job(ctx, access.SeeJobs, code)
	switch {
	case err != nil:
		return err
	case !ok:
		return a.noJob(ctx, code)
	}
	events, err := a.jobs.History(ctx, a.space, j.ID)
	if err != nil {
		return err
	}
	return a.say(ctx, answer{text: historyText(j, events, a.jobs.Times())})
}

// whyRefused shows a record of the audit log to whom it is about, and to
// administrators of the whole space.
func (a *ask) whyRefused(ctx context.Context, code string) error {
	r, ok, err := a.auditor.Find(ctx, a.space, code)
	if err != nil {
		return err
	}
	if !ok || (r.Who != a.who && !a.decide(access.Administer, "", "").Allowed) {
		return a.say(ctx, answer{text: fmt.Sprintf("There is no record %s that you may see.", quoted(code)), refused: true})
	}
	return a.say(ctx, answer{text: recordText(r)})
}

func (a *ask) whoami() answer {
	text := "To the access rules you are " + a.who
	if name := a.m.Sender.Name; name != "" {
		text += " (" + name + ")"
	}
	return answer{text: text + "\nand this conversation is " + a.where + "."}
}

// help shows what the sender may do, or what one agent or built-in does.
func (a *ask) help(ctx context.Context, name string) error {
	if b, ok := command.Lookup(name); ok && name != "" {
		return a.say(ctx, answer{text: fmt.Sprintf("`%s`: %s.", b.Usage, b.Help)})
	}
	now, err := a.jobs.Now(ctx)
	if err != nil {
		return err
	}
	if name != "" {
		agent, ok, err := a.agent(ctx, name)
		switch {
		case err != nil:
			return err
		case !ok:
			return a.noAgent(ctx, access.See, name)
		}
		return a.say(ctx, answer{text: a.agentHelp(agent, a.jobs.Online(agent, now), now)})
	}
	agents, err := a.visibleAgents(ctx)
	if err != nil {
		return err
	}
	def, err := a.defaultAgent(ctx)
	if err != nil {
		return err
	}
	return a.say(ctx, answer{text: a.generalHelp(agents, def, now)})
}

// commandLines lists the commands of an agent that the sender may run, each
// as it is typed, up to max of them.
func (a *ask) commandLines(agent job.Agent, max int) []string {
	if !a.policy.MaySend(a.who, a.where, agent.Name) {
		return nil
	}
	var allowed []job.Command
	for _, c := range agent.Commands {
		if takesAnything(c) || a.policy.MayBegin(a.who, a.where, agent.Name, firstWord(c.Name)) {
			allowed = append(allowed, c)
		}
	}
	return commandTable(agent.Name, allowed, max)
}

// applies reports whether a built-in is of any use to the sender.
func (a *ask) applies(v command.Verb, agents []job.Agent) bool {
	switch v {
	case command.Approve, command.Deny:
		return a.policy.Approves(a.who)
	case command.Pause, command.Resume:
		return anyAgent(agents, func(name string) bool { return a.decide(access.Pause, name, "").Allowed })
	case command.Rerun, command.Use:
		return anyAgent(agents, func(name string) bool { return a.policy.MaySend(a.who, a.where, name) })
	case command.Cancel:
		return anyAgent(agents, func(name string) bool {
			return a.policy.MaySend(a.who, a.where, name) || a.decide(access.Cancel, name, "").Allowed
		})
	}
	return true
}

func anyAgent(agents []job.Agent, is func(name string) bool) bool {
	for _, g := range agents {
		if is(g.Name) {
			return true
		}
	}
	return false
}
