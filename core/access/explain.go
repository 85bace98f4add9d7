package access

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxQuoted is how much of a message an explanation repeats, in characters.
const maxQuoted = 100

// maxListed is how many entries of a rule an explanation repeats.
const maxListed = 5

// missing says which rule the request would need, and which comes nearest.
func (p *Policy) missing(q Request) string {
	s := "no rule lets " + q.Who + " " + q.words()
	if len(p.rules) == 0 {
		return s + "; there are no rules"
	}
	best, bestScore := -1, 0
	for i, r := range p.rules {
		if score := p.lets(r, q).score(); score > bestScore {
			best, bestScore = i, score
		}
	}
	if best < 0 {
		return s
	}
	r := p.rules[best]
	return s + "; the nearest is " + r.label + ", which " + r.lacks(q, p.lets(r, q))
}

// score ranks rules by how few conditions fail; among those with as many, one
// that names the person or the agent goes first. It is 0 for a rule that has
// to do with neither.
func (m match) score() int {
	if !m.who && !m.agent {
		return 0
	}
	score := 0
	for _, c := range []struct {
		met    bool
		weight int
	}{{m.who, 13}, {m.agent, 12}, {m.right, 11}, {m.where, 10}} {
		if c.met {
			score += c.weight
		}
	}
	return score
}

// words says what is asked for, after "lets NAME".
func (q Request) words() string {
	of := "all agents"
	if q.Agent != "" {
		of = q.Agent
	}
	whose := "jobs of others"
	if q.Asker != "" {
		whose = "what " + q.Asker + " asked"
		if q.Asker == q.Who {
			whose = "own jobs"
		}
	}
	var s string
	switch q.Action {
	case Send:
		s = "send " + quote(q.Message) + " to " + of
	case SeeJobs:
		s = "see " + whose + " on " + of
	case Cancel:
		s = "cancel " + whose + " on " + of
	case See, Pause, Administer:
		s = string(q.Action) + " " + of
	default:
		s = strconv.Quote(string(q.Action)) + " " + of
	}
	if q.Where == "" {
		return s + " over the API"
	}
	return s + " in " + q.Where
}

// lacks says why the rule does not allow the request, after "which"; m is how
// far it goes.
func (r rule) lacks(q Request, m match) string {
	var why []string
	if !m.who {
		why = append(why, "is for "+list(r.source.Who))
	}
	if !m.agent {
		why = append(why, "covers the agents "+list(r.agents))
	}
	if !m.where {
		why = append(why, "holds only in "+list(r.source.In))
	}
	if !m.right {
		why = append(why, r.lacksRight(q))
	}
	return strings.Join(why, " and ")
}

func (r rule) lacksRight(q Request) string {
	switch q.Action {
	case Send:
		if len(r.may) == 0 {
			return "allows no message"
		}
		quoted := make([]string, len(r.may))
		for i, p := range r.may {
			quoted[i] = strconv.Quote(p.text)
		}
		s := "allows only " + list(quoted)
		if c, foreign := firstForeign(q.Message); foreign {
			s += "; the message contains " + runeName(c) + ", which only the pattern ** lets through"
		}
		return s
	case SeeJobs:
		return "does not say see: true"
	case Cancel:
		return "does not say cancel: any"
	case Pause:
		return "does not say pause: true"
	case Administer:
		return "does not say administer: true"
	case See, Approve:
	}
	return "says nothing about it"
}

// quote shows a message on one line, cut if it is long.
func quote(s string) string {
	short, cut := truncate(s, maxQuoted)
	if cut {
		short += "…"
	}
	return strconv.Quote(short)
}

// truncate cuts s after that many characters.
func truncate(s string, chars int) (short string, cut bool) {
	if utf8.RuneCountInString(s) <= chars {
		return s, false
	}
	n := 0
	for i := range s {
		if n == chars {
			return s[:i], true
		}
		n++
	}
	return s, false
}

// list joins the entries, leaving out the end of a long list.
func list(entries []string) string {
	if len(entries) > maxListed {
		return fmt.Sprintf("%s and %d more", strings.Join(entries[:maxListed], ", "), len(entries)-maxListed)
	}
	return strings.Join(entries, ", ")
}
