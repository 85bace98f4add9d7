package command

import (
	"slices"
	"strings"
	"unicode"
)

// Command is what a text asks for.
type Command struct {
	Verb Verb
	// Agent is the agent's name in lower case. For Help, Jobs and Use it may
	// be empty; help may be about a built-in, whose name it then is. For
	// Unknown it is the word as it was understood, empty if that was nothing.
	Agent string
	// Message is what is sent, verbatim; it may be empty.
	Message string
	// Defaulted says that Agent is the default agent, since the text named none.
	Defaulted bool
	// Code is a job's or a refusal's code in lower case, without #. It is not
	// checked any further.
	Code string
	// Clear says that `use` is to forget the default agent.
	Clear bool
	// Word is the first word of an Unknown command, as it was typed.
	Word string
	// Misused says that a built-in was not typed as its Usage says. Nothing
	// but Verb is set then.
	Misused bool
}

// Context is what Parse cannot know by itself.
type Context struct {
	// Agent reports whether there is an agent of this name that the sender
	// may know of. It is asked at most once for each text; nil knows none.
	Agent func(name string) bool
	// Default is the agent that gets what names no other; empty for none.
	Default string
	// Prefixes are the words that may stand before a command, in lower case
	// and without a slash; nil is DefaultPrefix alone. One of them at the
	// beginning is never an agent's name.
	Prefixes []string
}

// Parse reads a text. It never fails, and it takes time linear in the text's
// length whatever the text is.
func Parse(text string, c Context) Command {
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	word, rest := splitWord(text)
	prefixed := isPrefix(word, c.Prefixes)
	if prefixed {
		text = rest
		word, rest = splitWord(text)
	}
	name := fold(word)
	b, builtin := Lookup(word)
	switch {
	case word == "" && prefixed:
		return Command{Verb: Help}
	case word == "":
		return Command{Verb: Nothing}
	case builtin:
		return b.parse(rest)
	case name != "" && c.Agent != nil && c.Agent(name):
		return Command{Verb: Send, Agent: name, Message: rest}
	case c.Default != "":
		return Command{Verb: Send, Agent: c.Default, Message: strings.TrimLeftFunc(text, skipped), Defaulted: true}
	}
	return Command{Verb: Unknown, Agent: name, Word: word}
}

// parse reads the arguments of a built-in.
func (b Builtin) parse(rest string) Command {
	arg, more := splitWord(rest)
	extra, _ := splitWord(more)
	name := fold(arg)
	misused := Command{Verb: b.Verb, Misused: true}
	switch {
	case extra != "", arg != "" && name == "":
		return misused
	case arg == "":
		if b.takes == takesAgent || b.takes == takesCode {
			return misused
		}
		return Command{Verb: b.Verb}
	}
	switch b.takes {
	case takesCode:
		code := strings.Trim(name, quotes+"#().!?;")
		if code == "" {
			return misused
		}
		return Command{Verb: b.Verb, Code: code}
	case takesAgent, maybeAgent:
		if b.Verb == Use && (name == noAgent || strings.Trim(name, "-") == "") {
			return Command{Verb: Use, Clear: true}
		}
		return Command{Verb: b.Verb, Agent: name}
	case takesNothing:
	}
	return misused
}

func isPrefix(word string, prefixes []string) bool {
	name := fold(word)
	if name == "" {
		return false
	}
	if name[0] == '/' || name[0] == '@' {
		name = name[1:]
	}
	if prefixes == nil {
		return name == DefaultPrefix
	}
	return slices.Contains(prefixes, name)
}
