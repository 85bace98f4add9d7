package access

import (
	"fmt"
	"strings"
)

// OpenAgent is an agent some of whose commands hand the sender's text to a
// shell or a program of their own.
type OpenAgent struct {
	Name string
	// Commands are the names of those commands; an empty name or "*" is a
	// handler that gets every message.
	Commands []string
}

// Warning is something in the rules that is allowed and worth a second look.
type Warning struct {
	// Path names the value, as rules[2].may[0].
	Path string
	Text string
}

// Warnings lists the patterns by which a sender chooses text that reaches a
// shell or a program on these agents. Each pattern is warned of once.
func (p *Policy) Warnings(agents []OpenAgent) []Warning {
	var found []Warning
	for i, r := range p.rules {
		for n, m := range r.may {
			if !m.wild() {
				continue
			}
			var reached []string
			for _, a := range agents {
				if r.covers(a.Name) && m.reaches(a) {
					reached = append(reached, a.Name)
				}
			}
			if len(reached) == 0 {
				continue
			}
			found = append(found, Warning{
				Path: fmt.Sprintf("rules[%d].may[%d]", i, n),
				Text: fmt.Sprintf("%q lets %s send text of their choice to a shell or handler on %s; spell out what may be sent, or give the command typed arguments", m.text, list(r.source.Who), list(reached)),
			})
		}
	}
	return found
}

func (p pattern) reaches(a OpenAgent) bool {
	for _, name := range a.Commands {
		first, _, _ := strings.Cut(name, " ")
		if first == "" || first == "*" || p.matchFirst(first) {
			return true
		}
	}
	return false
}
