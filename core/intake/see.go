package intake

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/job"
)

// visibleAgents lists the agents that the sender may see, by name.
func (a *ask) visibleAgents(ctx context.Context) ([]job.Agent, error) {
	all, err := a.jobs.Agents(ctx, a.space)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(g job.Agent) bool { return !a.policy.Sees(a.who, a.where, g.Name) }), nil
}

func names(agents []job.Agent) []string {
	list := make([]string, len(agents))
	for i, g := range agents {
		list[i] = g.Name
	}
	return list
}

// sees reports whether the sender may see the job: one's own always, others'
// by a rule.
func (a *ask) sees(j job.Job) bool {
	asker := j.Sender.Principal()
	return asker == a.who || a.decideAbout(access.SeeJobs, j).Allowed
}

// decideAbout asks the rules about a job that exists.
func (a *ask) decideAbout(action access.Action, j job.Job) access.Decision {
	return a.policy.Decide(access.Request{
		Who: a.who, Where: a.where, Action: action, Agent: j.Agent, Message: j.Message,
		Asker: j.Sender.Principal(), AskedIn: whereOf(j.Conversation),
	})
}

// decide asks the rules about an agent.
func (a *ask) decide(action access.Action, agent, message string) access.Decision {
	return a.policy.Decide(access.Request{Who: a.who, Where: a.where, Action: action, Agent: agent, Message: message})
}

// job returns the job of that code if there is one and the sender may see it.
// An attempt to get at a hidden one is recorded.
func (a *ask) job(ctx context.Context, action access.Action, code string) (job.Job, bool, error) {
	j, err := a.jobs.JobByCode(ctx, a.space, code)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return job.Job{}, false, nil
	case err != nil:
		return job.Job{}, false, err
	case a.sees(j):
		return j, true, nil
	}
	_, err = a.auditor.Refuse(ctx, a.record(action, "#"+j.Code(), a.decideAbout(access.SeeJobs, j).Missing))
	return job.Job{}, false, err
}

// visibleJobs lists the newest jobs that the sender may see, of one agent or
// of all.
func (a *ask) visibleJobs(ctx context.Context, agent string, limit int) ([]job.Job, error) {
	found, err := a.jobs.Jobs(ctx, job.Filter{Space: a.space, Agent: agent, Sender: a.who, Limit: limit})
	if err != nil {
		return nil, err
	}
	others, err := a.jobsOfOthers(ctx, agent, limit)
	if err != nil {
		return nil, err
	}
	found = append(found, others...)
	// Whatever the store selected, nothing is shown that may not be seen.
	found = slices.DeleteFunc(found, func(j job.Job) bool { return !a.sees(j) || (agent != "" && j.Agent != agent) })
	slices.SortFunc(found, func(x, y job.Job) int { return cmp.Compare(y.Num, x.Num) })
	found = slices.CompactFunc(found, func(x, y job.Job) bool { return x.ID == y.ID })
	return found[:min(limit, len(found))], nil
}

// jobsOfOthers lists the newest jobs that some rule lets the sender see.
func (a *ask) jobsOfOthers(ctx context.Context, agent string, limit int) ([]job.Job, error) {
	f := job.Filter{Space: a.space, Agent: agent, Limit: limit}
	if a.decide(access.SeeJobs, agent, "").Allowed { // of this agent, or of all
		return a.jobs.Jobs(ctx, f)
	}
	if agent != "" {
		return nil, nil
	}
	agents, err := a.jobs.Agents(ctx, a.space)
	if err != nil {
		return nil, err
	}
	for _, g := range agents {
		if a.decide(access.SeeJobs, g.Name, "").Allowed {
			f.Agents = append(f.Agents, g.Name)
		}
	}
	if len(f.Agents) == 0 {
		return nil, nil
	}
	return a.jobs.Jobs(ctx, f)
}
