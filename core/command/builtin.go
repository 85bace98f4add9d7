package command

import (
	"slices"
	"strings"
)

// Verb is what a command does.
type Verb string

// The verbs. All but the first three are words that a person types.
const (
	// Nothing: the text holds no word.
	Nothing Verb = ""
	// Send a message to an agent.
	Send Verb = "send"
	// Unknown: the first word is no built-in and no agent, and there is no
	// default agent.
	Unknown Verb = "unknown"

	Help    Verb = "help"
	Agents  Verb = "agents"
	Jobs    Verb = "jobs"
	Job     Verb = "job"
	Output  Verb = "output"
	Cancel  Verb = "cancel"
	Rerun   Verb = "rerun"
	Why     Verb = "why"
	Use     Verb = "use"
	Whoami  Verb = "whoami"
	Pause   Verb = "pause"
	Resume  Verb = "resume"
	Approve Verb = "approve"
	Deny    Verb = "deny"
)

// takes says which argument a built-in has.
type takes int

const (
	takesNothing takes = iota
	takesAgent
	maybeAgent
	takesCode
	takesPage // a code, and perhaps a page
)

// Builtin is a command that Skadi carries out itself.
type Builtin struct {
	Verb Verb
	// Usage is how it is typed, with its argument.
	Usage string
	// Help says in a few words what it does.
	Help string

	takes takes
}

// DefaultPrefix is the word that may stand before any command.
const DefaultPrefix = "skadi"

// noAgent is what `use` takes for no agent, beside a dash.
const noAgent = "none"

var builtins = []Builtin{
	{Help, "help [agent]", "what you can do here", maybeAgent},
	{Agents, "agents", "the agents and whether they are online", takesNothing},
	{Jobs, "jobs [agent]", "the latest jobs", maybeAgent},
	{Job, "job <code>", "one job and the end of its output", takesCode},
	{Output, "output <code> [page]", "all that a job has put out", takesPage},
	{Cancel, "cancel <code>", "stop a job", takesCode},
	{Rerun, "rerun <code>", "send the same message again", takesCode},
	{Why, "why <code>", "the history of a job, or the reason of a refusal", takesCode},
	{Use, "use [agent]", "the agent that gets what names none; `use -` for no agent", maybeAgent},
	{Whoami, "whoami", "who you are to the access rules", takesNothing},
	{Pause, "pause <agent>", "keep an agent from taking jobs", takesAgent},
	{Resume, "resume <agent>", "let a paused agent take jobs again", takesAgent},
	{Approve, "approve <code>", "let a job run that waits for approval", takesCode},
	{Deny, "deny <code>", "refuse a job that waits for approval", takesCode},
}

// Builtins lists the built-in commands in the order in which help shows them.
func Builtins() []Builtin { return slices.Clone(builtins) }

// Lookup returns the built-in with this name, as a person types it.
func Lookup(word string) (Builtin, bool) {
	name := strings.TrimRight(fold(word), ".!?") // the end of a sentence
	for _, b := range builtins {
		if string(b.Verb) == name {
			return b, true
		}
	}
	return Builtin{}, false
}

// Reserved lists the words that no agent can be named, in alphabetical order:
// the built-ins, the default prefix and what stands for no agent.
func Reserved() []string {
	words := []string{DefaultPrefix, noAgent}
	for _, b := range builtins {
		words = append(words, string(b.Verb))
	}
	slices.Sort(words)
	return words
}
