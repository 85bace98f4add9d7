package intake

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/command"
	"github.com/letserverrun/skadi/core/job"
)

const (
	// maxHelpAgents and maxHelpCommands bound what `help` lists.
	maxHelpAgents   = 20
	maxHelpCommands = 8
	// maxAgentCommands bounds what `help AGENT` lists.
	maxAgentCommands = 100
	// maxHelpText is how much an agent may say about one command, in
	// characters, and maxUsage how wide the left column gets.
	maxHelpText = 120
	maxUsage    = 40
)

// generalHelp shows all that the sender may do here.
func (a *ask) generalHelp(agents []job.Agent, def string, now time.Time) string {
	var lines []string
	shown, left := 0, 0
	for _, g := range agents {
		if !a.policy.MaySend(a.who, a.where, g.Name) {
			continue
		}
		if shown++; shown > maxHelpAgents {
			left++
			continue
		}
		mark, state := agentState(g, a.jobs.Online(g, now), now)
		lines = append(lines, mark+" "+g.Name+"  "+state)
		for _, l := range a.commandLines(g, maxHelpCommands) {
			lines = append(lines, "    "+l)
		}
	}
	if left > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more: `agents` lists them all.", left))
	}
	head := "Type an agent's name and what it should do:"
	if shown == 0 {
		head = "There is no agent here that you may send anything to."
	}
	lines = append([]string{head}, lines...)
	if def != "" {
		lines = append(lines, "What names no agent goes to "+def+" here.")
	}
	var rows []row
	for _, b := range command.Builtins() {
		if a.applies(b.Verb, agents) {
			rows = append(rows, row{b.Usage, b.Help})
		}
	}
	return strings.Join(append(append(lines, "", "And:"), indent(table(rows))...), "\n")
}

// agentHelp shows what the sender may do with one agent that they see.
func (a *ask) agentHelp(g job.Agent, online bool, now time.Time) string {
	mark, state := agentState(g, online, now)
	lines := []string{mark + " " + g.Name + "  " + state}
	commands := a.commandLines(g, maxAgentCommands)
	switch {
	case !a.policy.MaySend(a.who, a.where, g.Name):
		lines = append(lines, "You may see it here, and send it nothing.")
	case len(g.Commands) == 0:
		lines = append(lines, "It has not told what it can do.")
	case len(commands) == 0:
		lines = append(lines, "It has told no command that you may run.")
	}
	lines = append(lines, indent(commands)...)
	if a.decide(access.Pause, g.Name, "").Allowed {
		verb := command.Pause
		if !g.PausedAt.IsZero() {
			verb = command.Resume
		}
		b, _ := command.Lookup(string(verb))
		lines = append(lines, fmt.Sprintf("`%s %s`: %s.", verb, g.Name, b.Help))
	}
	return strings.Join(lines, "\n")
}

// takesAnything reports whether the command is a handler, which gets every
// message.
func takesAnything(c job.Command) bool { return c.Name == "" || c.Name == "*" }

func firstWord(s string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return word
}

// commandTable lists commands as they are typed. What an agent tells of
// itself is shown on one line each, whatever it is.
func commandTable(agent string, commands []job.Command, max int) []string {
	rows := make([]row, 0, len(commands))
	for i, c := range commands {
		if i == max {
			rows = append(rows, row{"…", fmt.Sprintf("and %d more: `help %s`", len(commands)-max, agent)})
			break
		}
		rows = append(rows, row{typed(agent, c), oneLine(c.Help, maxHelpText)})
	}
	return table(rows)
}

// typed is how a person types the command.
func typed(agent string, c job.Command) string {
	usage := oneLine(c.Usage, maxHelpText)
	switch {
	case usage != "":
		// Some say only the arguments, some the whole line.
		if name := firstWord(c.Name); name != "" && name != "*" && firstWord(usage) != name {
			usage = name + " " + usage
		}
	case takesAnything(c):
		usage = "<anything>"
	default:
		usage = oneLine(c.Name, maxHelpText)
	}
	return agent + " " + usage
}

// row is what is typed and what it does.
type row struct{ left, right string }

// table aligns the right column, but for rows whose left is too wide.
func table(rows []row) []string {
	width := 0
	for _, r := range rows {
		if w := utf8.RuneCountInString(r.left); w <= maxUsage {
			width = max(width, w)
		}
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		if r.right == "" {
			lines[i] = r.left
			continue
		}
		lines[i] = r.left + strings.Repeat(" ", max(width-utf8.RuneCountInString(r.left), 0)) + "  " + r.right
	}
	return lines
}

func indent(lines []string) []string {
	for i, l := range lines {
		lines[i] = "  " + l
	}
	return lines
}
