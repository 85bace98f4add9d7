package httpapi

import (
	"errors"
	"net/http"
	"reflect"
	"strconv"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

var newAgentShape = shapeOf(reflect.TypeFor[agentapi.NewAgent]())

// listAgents shows the agents that the caller may see.
func (c *call) listAgents() error {
	agents, err := c.api.cfg.Jobs.Agents(c.context(), c.token.Space)
	if err != nil {
		return err
	}
	now, err := c.api.cfg.Jobs.Now(c.context())
	if err != nil {
		return err
	}
	list := agentapi.AgentList{Agents: make([]agentapi.Agent, 0, len(agents))}
	for _, a := range agents {
		if c.decide(access.Request{Action: access.See, Agent: a.Name}).Allowed {
			list.Agents = append(list.Agents, wireAgent(a, c.api.cfg.Jobs.Online(a, now)))
		}
	}
	return c.json(http.StatusOK, list)
}

func (c *call) createAgent() error {
	var n agentapi.NewAgent
	if err := c.decodeStrict(&n, newAgentShape); err != nil {
		return err
	}
	a, err := c.api.cfg.Jobs.CreateAgent(c.context(), c.token.Space, n.Name)
	if err != nil {
		f := failureOf(err)
		if f.problem.Type == agentapi.ProblemAgentExists {
			f.problem.Detail, f.problem.Field = "there is an agent "+strconv.Quote(n.Name)+" already", "name"
		}
		return f
	}
	c.record(access.Record{Action: "agent.create", Target: a.Name, Allowed: true, Why: "role admin"})
	return c.handToken(a, http.StatusCreated)
}

// rotateToken gives an agent a new token. The one before ends at once, also for
// polls that wait: on other nodes within half a second.
func (c *call) rotateToken() error {
	a, err := c.agent()
	if err != nil {
		return err
	}
	c.record(access.Record{Action: "agent.rotate", Target: a.Name, Allowed: true, Why: "role admin"})
	return c.handToken(a, http.StatusCreated)
}

// handToken makes the agent's token and answers with it. Rotating also covers
// the token of an agent of the same name that was removed.
func (c *call) handToken(a job.Agent, status int) error {
	token, err := c.api.cfg.Tokens.Rotate(c.context(), a.Space, a.ID, a.Name)
	if errors.Is(err, access.ErrTokenExists) {
		return fail(agentapi.ProblemConflict, "others rotate this agent's token at the same time; try again").because(err)
	}
	if err != nil {
		return err
	}
	c.api.cfg.Jobs.Recheck(a.Space, a.Name) // polls with the token of before end
	return c.json(status, agentapi.AgentToken{Name: a.Name, Token: token.Reveal()})
}

// removeAgent leaves the agent's token as it is: it is good for nothing more,
// but tells a daemon that still runs, by 410, why.
func (c *call) removeAgent() error {
	a, err := c.agent()
	if err != nil {
		return err
	}
	if err := c.api.cfg.Jobs.RemoveAgent(c.context(), a.Space, a.Name, c.principal()); err != nil {
		return agentMissing(err, a.Name)
	}
	c.record(access.Record{Action: "agent.remove", Target: a.Name, Allowed: true, Why: "role admin"})
	return c.noContent()
}

// agent is the one that the path names.
func (c *call) agent() (job.Agent, error) {
	name := c.echo.Param("name")
	a, err := c.api.cfg.Jobs.Agent(c.context(), c.token.Space, name)
	return a, agentMissing(err, name)
}

// agentMissing says that it is the agent which was not found.
func agentMissing(err error, name string) error {
	if errors.Is(err, job.ErrNotFound) || errors.Is(err, job.ErrUnknownAgent) {
		return fail(agentapi.ProblemUnknownAgent, "there is no agent %s", strconv.Quote(short(name)))
	}
	return err
}
