package command

import (
	"slices"
	"strconv"
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
	// Page is which page of a job's output is wanted, from 1; 0 for any other
	// command.
	Page int
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
	case extra != "" && b.takes != takesPage, arg != "" && name == "":
		return misused
	case arg == "":
		if b.takes == takesAgent || b.takes == takesCode || b.takes == takesPage {
			return misused
		}
		return Command{Verb: b.Verb}
	}
	switch b.takes {
	case takesCode, takesPage:
		c := Command{Verb: b.Verb, Code: strings.Trim(name, around)}
		ok := c.Code != ""
		if ok && b.takes == takesPage {
			c.Page, ok = parsePage(more)
		}
		if !ok {
			return misused
		}
		return c
	case takesAgent, maybeAgent:
		if b.Verb == Use && (name == noAgent || strings.Trim(name, "-") == "") {
			return Command{Verb: Use, Clear: true}
		}
		return Command{Verb: b.Verb, Agent: name}
	case takesNothing:
	}
	return misused
}

// around is what may stand around a code in a sentence.
const around = quotes + "#().!?;"

// maxPage is above any page that there can be.
const maxPage = 1_000_000

// parsePage reads what follows a code: a page, or nothing for the first one.
func parsePage(text string) (page int, ok bool) {
	word, rest := splitWord(text)
	extra, _ := splitWord(rest)
	if word == "" {
		return 1, true
	}
	page, err := strconv.Atoi(strings.Trim(fold(word), around))
	return page, err == nil && page >= 1 && page <= maxPage && extra == ""
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
