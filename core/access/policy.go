package access

import (
	"fmt"
	"slices"
)

// Action is what somebody wants to do.
type Action string

// The actions.
const (
	// Send a message to an agent.
	Send Action = "send"
	// See that an agent exists, and what it can do.
	See Action = "see"
	// SeeJobs of an agent: the job that Request.Asker asked for, or
	// everybody's if that is empty.
	SeeJobs Action = "see_jobs"
	// Cancel a job.
	Cancel Action = "cancel"
	// Approve, or deny, a job that waits for it.
	Approve Action = "approve"
	// Pause or resume an agent.
	Pause Action = "pause"
	// Administer an agent: create it, remove it, rotate its token.
	Administer Action = "administer"
)

// Request is what somebody wants to do, as Policy.Decide takes it.
type Request struct {
	// Who is the principal.
	Who string
	// Where is the conversation, as account:channel; empty over the API.
	Where  string
	Action Action
	// Agent is the agent concerned, or the agent of the job concerned. Empty
	// is the space as a whole, which only rules for the agents "*" cover.
	Agent string
	// Message is what is to be sent, or approved.
	Message string
	// Asker is the principal who asked for the job concerned, and AskedIn the
	// conversation in which that was. Cancel and SeeJobs need Asker to know
	// one's own jobs; Approve needs both.
	Asker   string
	AskedIn string
}

// Decision is the answer to a Request.
type Decision struct {
	// Allowed says that it may be done; with Approvers, that it may be asked
	// for and waits until one of them agrees.
	Allowed bool
	// Rule names what allowed it: rules[2], with the rule's name if it has
	// one, or "owner".
	Rule string
	// Missing says, when it is not allowed, which rule would have to exist,
	// in words for an administrator. It describes the nearest rule, so it is
	// not for people who may not see the agent.
	Missing string
	// Approvers are who may approve, as the rules write them.
	Approvers []string
}

// NeedsApproval reports whether what was asked for must wait for somebody.
func (d Decision) NeedsApproval() bool { return d.Allowed && len(d.Approvers) > 0 }

// ownerRule is the Decision.Rule of owners.
const ownerRule = "owner"

// Policy decides by a set of rules. It never changes, so its methods may be
// called concurrently.
type Policy struct {
	owners map[string]bool
	rules  []rule
	// member holds the groups of a channel's own that a principal is in, as
	// principals too: see Member.
	member map[string][]string
}

// New makes a policy. The owners are principals that may do everything,
// whatever the rules say. The error joins a *FieldError for every fault.
func New(rules Rules, owners ...string) (*Policy, error) {
	compiled, err := compile(rules)
	if err != nil {
		return nil, err
	}
	p := &Policy{owners: map[string]bool{}, rules: compiled}
	for _, o := range owners {
		who, err := ParsePrincipal(o)
		if err != nil {
			return nil, fmt.Errorf("owner: %w", err)
		}
		p.owners[string(who)] = true
	}
	return p, nil
}

// Member returns the policy for requests of a principal of whom the channel
// says that it is in these groups of the channel's own. A rule that names such
// a group, as it names a principal, holds for who.
func (p *Policy) Member(who string, groups []string) *Policy {
	if len(groups) == 0 {
		return p
	}
	q := *p
	q.member = map[string][]string{who: groups}
	return &q
}

// is reports whether the principal is one of these people, by name or by a
// group. That everybody of a workspace is meant makes nobody of another
// workspace one of them who is in a group of it.
func (p *Policy) is(who string, these people) bool {
	return these.has(who) || slices.ContainsFunc(p.member[who], func(group string) bool { return these.names[group] })
}

// Decide answers a request. Any rule may allow it; a rule without approval
// goes before one with it.
func (p *Policy) Decide(q Request) Decision {
	if q.Action == Approve {
		return p.decideApproval(q)
	}
	if p.owners[q.Who] {
		return Decision{Allowed: true, Rule: ownerRule}
	}
	var waiting []rule
	for _, r := range p.rules {
		if !p.lets(r, q).all() {
			continue
		}
		if q.Action != Send || len(r.source.Approval) == 0 {
			return Decision{Allowed: true, Rule: r.label}
		}
		waiting = append(waiting, r)
	}
	if len(waiting) == 0 {
		return Decision{Missing: p.missing(q)}
	}
	return p.needApproval(q, waiting)
}

func (p *Policy) needApproval(q Request, waiting []rule) Decision {
	d := Decision{Allowed: true, Rule: waiting[0].label}
	others := len(p.owners) > 0
	for _, r := range waiting {
		others = others || !r.approvers.onlyHas(q.Who)
		for _, a := range r.source.Approval {
			if !slices.Contains(d.Approvers, a) {
				d.Approvers = append(d.Approvers, a)
			}
		}
	}
	if !others {
		return Decision{Missing: fmt.Sprintf("%s needs an approval, which nobody but %s could give: name somebody else in its approval", d.Rule, q.Who)}
	}
	return d
}

// decideApproval asks the rules that let the asker send the message, as they
// are now, who may approve it.
func (p *Policy) decideApproval(q Request) Decision {
	if q.Who == q.Asker || q.Asker == "" {
		return Decision{Missing: fmt.Sprintf("%s asked for it, and somebody else must approve it", q.Who)}
	}
	asked := Request{Who: q.Asker, Where: q.AskedIn, Action: Send, Agent: q.Agent, Message: q.Message}
	d := p.Decide(asked)
	switch {
	case !d.Allowed:
		return Decision{Missing: "what was asked for is no longer allowed: " + d.Missing}
	case !d.NeedsApproval():
		return Decision{Missing: fmt.Sprintf("no approval is needed any more, by %s; %s can send it again", d.Rule, q.Asker)}
	case p.owners[q.Who]:
		return Decision{Allowed: true, Rule: ownerRule}
	}
	for _, r := range p.rules {
		if p.is(q.Who, r.approvers) && p.lets(r, asked).all() {
			return Decision{Allowed: true, Rule: r.label}
		}
	}
	return Decision{Missing: fmt.Sprintf("%s may not approve what %s sends to %s; %s may, by %s", q.Who, q.Asker, q.Agent, list(d.Approvers), d.Rule)}
}

// Known reports whether the owners or some rule name the principal. Others
// are strangers, who are told nothing.
func (p *Policy) Known(who string) bool {
	return p.owners[who] || slices.ContainsFunc(p.rules, func(r rule) bool {
		return p.is(who, r.who) || p.is(who, r.approvers)
	})
}

// Sees reports whether the principal may see the agent from there.
func (p *Policy) Sees(who, where, agent string) bool {
	if p.owners[who] {
		return true
	}
	q := Request{Who: who, Where: where, Action: See, Agent: agent}
	return slices.ContainsFunc(p.rules, func(r rule) bool { return p.lets(r, q).all() })
}

// MaySend reports whether the principal may send the agent any message at all.
func (p *Policy) MaySend(who, where, agent string) bool {
	return p.owners[who] || slices.ContainsFunc(p.rules, func(r rule) bool {
		return len(r.may) > 0 && p.is(who, r.who) && r.covers(agent) && r.in.has(where)
	})
}

// Approves reports whether there is anything that the principal may be asked
// to approve.
func (p *Policy) Approves(who string) bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool {
		return p.is(who, r.approvers) || (p.owners[who] && len(r.source.Approval) > 0)
	})
}

// MayBegin reports whether the principal may send the agent some message that
// begins with this word, for help to show only what its reader may run.
func (p *Policy) MayBegin(who, where, agent, word string) bool {
	return p.owners[who] || slices.ContainsFunc(p.rules, func(r rule) bool {
		return p.is(who, r.who) && r.covers(agent) && r.in.has(where) &&
			slices.ContainsFunc(r.may, func(m pattern) bool { return m.matchFirst(word) })
	})
}

// match is how far a rule goes towards allowing a request.
type match struct{ who, agent, where, right bool }

func (m match) all() bool { return m.who && m.agent && m.where && m.right }

// lets compares the rule with a request of any action but Approve.
func (p *Policy) lets(r rule, q Request) match {
	own := q.Asker != "" && q.Asker == q.Who
	m := match{who: p.is(q.Who, r.who), agent: r.covers(q.Agent), where: r.in.has(q.Where)}
	src := r.source
	switch q.Action {
	case Send:
		m.right = r.allows(q.Message)
	case See:
		// Whoever is to approve must see what it is about, wherever that is.
		if p.is(q.Who, r.approvers) {
			m.who, m.where = true, true
		}
		m.right = true
	case SeeJobs:
		switch {
		case p.is(q.Who, r.approvers):
			m.who, m.where, m.right = true, true, true
		case own:
			m.where, m.right = true, true
		default:
			m.right = src.See || src.Cancel == CancelAny || src.Administer
		}
	case Cancel:
		m.right = src.Cancel == CancelAny || src.Administer
		if own {
			m.where, m.right = true, m.right || src.Cancel == CancelOwn || len(src.May) > 0
		}
	case Pause:
		m.right = src.Pause || src.Administer
	case Administer:
		m.right = src.Administer
	}
	return m
}
