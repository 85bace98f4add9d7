package access

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/nearest"
)

// Rules is the access section of the config.
type Rules struct {
	Groups map[string][]string `yaml:"groups" doc:"Named lists of principals, which rules use as group:NAME. A group holds no other groups."`
	Rules  []Rule              `yaml:"rules" doc:"What is allowed. Everything else is refused."`
}

// Validate reports everything that New would refuse.
func (r Rules) Validate() error {
	_, err := compile(r)
	return err
}

// Rule lets some people do some things with some agents.
type Rule struct {
	Name     string      `yaml:"name" doc:"A name that refusals and the audit log show beside the rule's number."`
	Who      []string    `yaml:"who" jsonschema:"required,minItems=1" doc:"Whom the rule is for: account:workspace/user, account:user, token:NAME, group:NAME, or account:* (everybody that this account has verified) and account:workspace/*. Where the channel has groups of its own, such as Slack's user groups, account:workspace/GROUP is whoever is in it."`
	Agents   []string    `yaml:"agents" jsonschema:"required,minItems=1" doc:"The agents that the rule covers; * stands for any part of a name."`
	In       []string    `yaml:"in" doc:"The conversations in which the rule holds, as account:channel or account:*. Without it the rule holds everywhere, the API included. Own jobs can be seen and canceled from anywhere."`
	May      []string    `yaml:"may" doc:"The messages that may be sent, word by word: * is one word or a part of one, ** at the end any further words of one line, and ** alone any message at all."`
	Approval []string    `yaml:"approval" doc:"Messages that this rule allows wait until one of these has approved, other than the asker. Same form as who."`
	Cancel   CancelScope `yaml:"cancel" jsonschema:"enum=own,enum=any" doc:"Whose jobs may be canceled. Who may send may always cancel own jobs."`
	See      bool        `yaml:"see" doc:"Lets them see everybody's jobs on these agents. Every rule lets them see the agents, and their own jobs."`
	Pause    bool        `yaml:"pause" doc:"Lets them pause and resume the agents."`

	Administer bool `yaml:"administer" doc:"Lets them create and remove the agents and rotate their tokens, and pause, see and cancel everything on them; not send."`
}

// CancelScope says whose jobs a rule lets people cancel.
type CancelScope string

// The scopes; the zero value gives nothing beyond what sending implies.
const (
	CancelOwn CancelScope = "own"
	CancelAny CancelScope = "any"
)

// FieldError is what is wrong with one value of the rules.
type FieldError struct {
	// Path names the value, as rules[2].agents[0].
	Path   string
	Detail string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Detail }

// Field returns where the error is and what it is, for a config that knows
// the place's line.
func (e *FieldError) Field() (path, detail string) { return e.Path, e.Detail }

var agentPattern = regexp.MustCompile(`^[a-z0-9._*-]{1,63}$`)

// ValidAgentPattern says what is wrong with a pattern for the names of agents.
func ValidAgentPattern(pattern string) error {
	if !agentPattern.MatchString(pattern) {
		return fmt.Errorf("%q must be 1 to 63 of a-z, 0-9, '.', '_', '-' and *, as agent names are", pattern)
	}
	return nil
}

// MatchesAgent reports whether an agent's name is what the pattern says.
func MatchesAgent(pattern, agent string) bool { return agent != "" && glob(pattern, agent) }

// rule is a Rule made ready.
type rule struct {
	label     string
	source    Rule
	who       people
	agents    []string
	in        places
	may       []pattern
	approvers people
}

// places are conversations: some by name, and all of some accounts.
type places struct {
	anywhere bool
	names    map[string]bool
	accounts map[string]bool
}

func (p places) has(where string) bool {
	if p.anywhere || p.names[where] {
		return true
	}
	account, channel, _ := strings.Cut(where, ":")
	return channel != "" && p.accounts[account]
}

// compiler turns Rules into rules and collects what is wrong with them.
type compiler struct {
	groups map[string]people
	errs   []error
}

func (c *compiler) fail(path, format string, args ...any) {
	c.errs = append(c.errs, &FieldError{Path: path, Detail: fmt.Sprintf(format, args...)})
}

func compile(src Rules) ([]rule, error) {
	c := &compiler{groups: map[string]people{}}
	for _, name := range slices.Sorted(maps.Keys(src.Groups)) {
		c.groups[name] = c.group(name, src.Groups[name])
	}
	names := map[string]int{}
	rules := make([]rule, 0, len(src.Rules))
	for i, r := range src.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		if first, taken := names[r.Name]; r.Name != "" && taken {
			c.fail(at+".name", "%q is the name of rules[%d] too", r.Name, first)
		} else {
			names[r.Name] = i
		}
		rules = append(rules, c.rule(at, r))
	}
	return rules, errors.Join(c.errs...)
}

func (c *compiler) group(name string, members []string) people {
	at := "groups." + name
	if !groupName.MatchString(name) {
		c.fail(at, "%q must be 1 to 63 letters, digits, '.', '_' and '-', with a letter or digit at both ends", name)
	}
	p := newPeople()
	for i, m := range members {
		at := fmt.Sprintf("%s[%d]", at, i)
		if strings.HasPrefix(m, groupPrefix) {
			c.fail(at, "%q is a group, and groups hold no groups; name both in the rule", m)
			continue
		}
		if err := p.add(m); err != nil {
			c.fail(at, "%v", err)
		}
	}
	return p
}

func (c *compiler) rule(at string, src Rule) rule {
	r := rule{label: at, source: src}
	if src.Name != "" {
		r.label = fmt.Sprintf("%s (%s)", at, src.Name)
	}
	if strings.ContainsFunc(src.Name, func(r rune) bool { return !plain(r) }) {
		c.fail(at+".name", "must be one line of text")
	}
	r.who = c.people(at+".who", src.Who)
	r.agents = c.agents(at+".agents", src.Agents)
	r.in = c.places(at+".in", src.In)
	for i, text := range src.May {
		p, err := parsePattern(text)
		if err != nil {
			c.fail(fmt.Sprintf("%s.may[%d]", at, i), "%v", err)
			continue
		}
		r.may = append(r.may, p)
	}
	if src.Approval != nil && len(src.Approval) == 0 {
		c.fail(at+".approval", "is an empty list, so that nobody could approve; leave it out if the rule's messages need no approval")
	} else if src.Approval != nil {
		r.approvers = c.people(at+".approval", src.Approval)
		c.approvers(at+".approval", src.Approval)
		if len(src.May) == 0 {
			c.fail(at+".approval", "approves nothing: the rule has no may")
		}
	}
	switch src.Cancel {
	case "", CancelOwn, CancelAny:
	default:
		c.fail(at+".cancel", "%q must be %q or %q", src.Cancel, CancelOwn, CancelAny)
	}
	if len(src.May) == 0 && src.Cancel == "" && !src.See && !src.Pause && !src.Administer {
		c.fail(at, "allows nothing: add may, cancel, see, pause or administer")
	}
	return r
}

func (c *compiler) people(at string, entries []string) people {
	p := newPeople()
	if len(entries) == 0 {
		c.fail(at, "names nobody")
	}
	for i, e := range entries {
		at := fmt.Sprintf("%s[%d]", at, i)
		name, isGroup := strings.CutPrefix(e, groupPrefix)
		if !isGroup {
			if err := p.add(e); err != nil {
				c.fail(at, "%v", err)
			}
			continue
		}
		group, known := c.groups[name]
		if !known {
			c.fail(at, "there is no group %q%s", name, suggest(name, c.groups))
			continue
		}
		p.addAll(group)
	}
	return p
}

// approvers refuses entries that can approve nothing: there is no call for it,
// so no token can.
func (c *compiler) approvers(at string, entries []string) {
	for i, e := range entries {
		at := fmt.Sprintf("%s[%d]", at, i)
		name, isGroup := strings.CutPrefix(e, groupPrefix)
		switch group, known := c.groups[name]; {
		case isGroup && known && group.isEmpty():
			c.fail(at, "%q holds nobody, so that nobody could approve", e)
		case isGroup && group.onlyTokens():
			c.fail(at, "%q holds tokens alone, and %s", e, tokensApprove)
		case !isGroup && Principal(e).Account() == TokenAccount:
			c.fail(at, "%q approves nothing: %s", e, tokensApprove)
		}
	}
}

const tokensApprove = "a token cannot approve, since approvals are given in a conversation; name people of an adapter's account, such as work-slack:T0123/U0456"

func suggest(name string, groups map[string]people) string {
	names := slices.Sorted(maps.Keys(groups))
	if near, ok := nearest.Name(name, names); ok {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	if len(names) == 0 {
		return "; add it under groups"
	}
	return "; there are " + list(names)
}

func (c *compiler) agents(at string, globs []string) []string {
	if len(globs) == 0 {
		c.fail(at, "covers no agent; write \"*\" for all")
	}
	for i, g := range globs {
		if err := ValidAgentPattern(g); err != nil {
			c.fail(fmt.Sprintf("%s[%d]", at, i), "%v", err)
		}
	}
	return globs
}

func (c *compiler) places(at string, entries []string) places {
	p := places{anywhere: entries == nil, names: map[string]bool{}, accounts: map[string]bool{}}
	if entries != nil && len(entries) == 0 {
		c.fail(at, "is an empty list, so that the rule holds nowhere; leave it out to let the rule hold everywhere")
	}
	for i, e := range entries {
		account, channel, _ := strings.Cut(e, ":")
		switch {
		case !accountName.MatchString(account) || channel == "":
			c.fail(fmt.Sprintf("%s[%d]", at, i), "%q is not of the form account:channel or account:*", e)
		case channel == "*":
			p.accounts[account] = true
		case strings.ContainsFunc(channel, notInID):
			c.fail(fmt.Sprintf("%s[%d]", at, i), "%q is no channel: write its ID, or * alone for all of the account", e)
		default:
			p.names[e] = true
		}
	}
	return p
}

// covers reports whether the rule is about that agent. Only a rule for all
// agents covers what concerns no agent in particular.
func (r rule) covers(agent string) bool {
	return slices.ContainsFunc(r.agents, func(g string) bool {
		return glob(g, agent) && (agent != "" || g == "*")
	})
}

func (r rule) allows(message string) bool {
	return slices.ContainsFunc(r.may, func(p pattern) bool { return p.match(message) })
}
