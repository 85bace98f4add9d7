package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

// authenticate finds out whose token the call carries and whether the route
// takes such tokens.
func (c *call) authenticate() error {
	if len(c.route.roles) == 0 {
		return nil
	}
	plain, ok := bearer(c.request().Header)
	if !ok {
		return fail(agentapi.ProblemNoToken, "send the header Authorization: Bearer skd_…")
	}
	t := c.api.throttle
	// Behind a proxy that is not known, all callers have one address, and would
	// shut each other out.
	alone := !c.unknownProxy()
	if alone && t.active.Load() && !t.hasPassed(plain) {
		if wait, blocked := t.blocked(c.echo.RealIP(), c.api.clock()); blocked {
			f := fail(agentapi.ProblemRateLimited, "too many bad tokens came from %s", c.echo.RealIP())
			f.retryAfter = wait
			return f
		}
	}
	token, err := c.api.cfg.Tokens.Verify(c.context(), plain)
	if errors.Is(err, access.ErrNoToken) {
		if alone {
			t.failed(c.echo.RealIP(), c.api.clock())
		}
		c.api.metrics.failedLogins.Inc()
		return badToken()
	}
	if err != nil {
		return err
	}
	t.pass(plain)
	c.token = token
	if !slices.Contains(c.route.roles, token.Role) {
		return fail(agentapi.ProblemWrongRole, "%s is a token of role %s; this call takes %s",
			token.Name, token.Role, roleNames(c.route.roles))
	}
	return nil
}

// unknownProxy reports whether the call comes by a proxy that is not known, and
// has the log say so.
func (c *call) unknownProxy() bool {
	if !isBehindUnknownProxy(c.request(), c.api.cfg.TrustedProxies) {
		return false
	}
	if c.api.proxied.Tell(c.api.clock()) {
		c.api.log.Warn("calls come by a proxy on this machine that is not in trusted_proxies: who calls cannot be told, " +
			"and bad tokens are not slowed down; list it there")
	}
	return true
}

// bearer returns the token of an Authorization header.
func bearer(h http.Header) (token string, ok bool) {
	values := h["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, found && token != "" && strings.EqualFold(scheme, "Bearer")
}

func roleNames(roles []access.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// principal is the caller as access rules write it.
func (c *call) principal() string { return c.token.Principal() }

// decide asks the access rules. An admin's token may do everything in its
// space, and a read token see everything.
func (c *call) decide(q access.Request) access.Decision {
	looks := q.Action == access.See || q.Action == access.SeeJobs
	if c.token.Role == access.RoleAdmin || (c.token.Role == access.RoleRead && looks) {
		return access.Decision{Allowed: true, Rule: "role " + string(c.token.Role)}
	}
	q.Who = c.principal()
	return c.api.cfg.Policy().Decide(q)
}

// refuse records that q was not allowed and says so. What the nearest rule
// looks like is told only about agents that the caller may see.
func (c *call) refuse(q access.Request, d access.Decision, id string) error {
	missing := d.Missing
	if q.Agent != "" && !c.api.cfg.Policy().Sees(c.principal(), "", q.Agent) {
		missing = fmt.Sprintf("no rule lets %s %s to do with %s over the API", c.principal(), anything(q.Action), q.Agent)
	}
	code := c.record(access.Record{
		ID: id, Action: string(q.Action), Target: q.Agent, Text: q.Message, Why: d.Missing,
	})
	f := fail(agentapi.ProblemNotAllowed, "%s; the audit log has this as %s", missing, code)
	f.problem.Rule = missing
	return f
}

func anything(a access.Action) string {
	if a == access.Send {
		return "send anything"
	}
	return "do anything"
}

// record writes the audit log. A refusal stands and an administrator's work
// is done whether or not that succeeds, so a failure is only logged.
func (c *call) record(r access.Record) (code string) {
	r.Space, r.Who = c.token.Space, c.principal()
	code, err := c.api.cfg.Auditor.Record(c.context(), r)
	if err != nil {
		c.api.log.Error("could not write the audit log", "request_id", c.id, "code", code, "err", err)
	}
	return code
}

// sees reports whether the caller may see the job: everybody may see what
// they asked for, whatever became of the rules since.
func (c *call) sees(j job.Job) bool {
	asker := j.Sender.Principal()
	if asker == c.principal() {
		return true
	}
	return c.decide(access.Request{Action: access.SeeJobs, Agent: j.Agent, Asker: asker}).Allowed
}

func badToken() error { return fail(agentapi.ProblemBadToken, "%s", access.ErrNoToken.Error()) }

// caller is the agent that calls.
func (c *call) caller() job.Caller {
	return job.Caller{Space: c.token.Space, AgentID: c.token.AgentID, Agent: c.token.Agent}
}

// waiter is the agent that calls and may wait for so long that its token is
// revoked meanwhile.
func (c *call) waiter() job.Caller {
	tokens, hash := c.api.cfg.Tokens, c.token.Hash
	w := c.caller()
	w.Check = func(ctx context.Context) error {
		err := tokens.Check(ctx, hash)
		if errors.Is(err, access.ErrNoToken) {
			return badToken()
		}
		return err
	}
	return w
}
