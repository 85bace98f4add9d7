// Package command turns messages into programs to run, by the commands that
// the operator of a server has named: typed arguments are put into an
// argument list, never into a line that a shell would read.
package command

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Rule says what values an argument takes.
type Rule interface {
	// Check returns the value as the program gets it, or false.
	Check(value string) (string, bool)
	// String says what a value must be, to follow the word "must".
	String() string
}

// Pattern takes values that a regular expression matches from end to end.
type Pattern struct{ re, whole *regexp.Regexp }

// NewPattern compiles a pattern.
func NewPattern(text string) (Pattern, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return Pattern{}, fmt.Errorf("is no pattern: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	whole, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		// It is one by itself, but what follows it would become a part of it.
		return Pattern{}, errors.New(`is no pattern: end its \Q with \E`)
	}
	return Pattern{re: re, whole: whole}, nil
}

// Check implements Rule.
func (p Pattern) Check(value string) (string, bool) { return value, p.whole.MatchString(value) }

func (p Pattern) String() string { return "match " + p.re.String() }

// Enum takes one of a list of values.
type Enum []string

// Check implements Rule.
func (e Enum) Check(value string) (string, bool) { return value, slices.Contains(e, value) }

func (e Enum) String() string { return "be one of " + strings.Join(e, ", ") }

// Int takes whole numbers from Min to Max.
type Int struct{ Min, Max int64 }

// Check implements Rule. Leading zeros and a plus sign are dropped.
func (i Int) Check(value string) (string, bool) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < i.Min || n > i.Max {
		return "", false
	}
	return strconv.FormatInt(n, 10), true
}

func (i Int) String() string { return fmt.Sprintf("be a whole number from %d to %d", i.Min, i.Max) }

// Arg is one argument of a command.
type Arg struct {
	Name string
	Rule Rule
	// Optional arguments may be left out; only the last ones can be.
	Optional bool
	// Rest takes all words that are left, at least one unless Optional; only
	// the last argument can.
	Rest bool
	// AllowDash takes values that begin with a dash, which programs may take
	// for options.
	AllowDash bool
}

// ArgError is a message whose arguments a command does not take.
type ArgError struct {
	Arg    string // empty if it is about the message as a whole
	Detail string
	Usage  string
}

func (e *ArgError) Error() string {
	s := e.Detail
	if e.Arg != "" {
		s = e.Arg + " " + s
	}
	return s + "\nUsage: " + e.Usage
}

// Values are the arguments of one message by name. One that was left out is
// not in it.
type Values map[string][]string

// bind gives words to the arguments.
func (s *Spec) bind(words []string) (Values, error) {
	fail := func(arg, format string, args ...any) (Values, error) {
		return nil, &ArgError{Arg: arg, Detail: fmt.Sprintf(format, args...), Usage: s.usage()}
	}
	values := Values{}
	for _, a := range s.Args {
		if len(words) == 0 {
			if a.Optional {
				break
			}
			return fail(a.Name, "is missing; it must %s", a.Rule)
		}
		n := 1
		if a.Rest {
			n = len(words)
		}
		for _, w := range words[:n] {
			if strings.HasPrefix(w, "-") && !a.AllowDash {
				return fail(a.Name, "must not begin with a dash: %s", shown(w))
			}
			v, ok := a.Rule.Check(w)
			if !ok {
				return fail(a.Name, "must %s, and %s does not", a.Rule, shown(w))
			}
			values[a.Name] = append(values[a.Name], v)
		}
		words = words[n:]
	}
	if len(words) > 0 {
		return fail("", "There are too many words, from %s on.", shown(words[0]))
	}
	return values, nil
}

// shown repeats a value of a message, cut to a length that fits a sentence.
func shown(value string) string {
	const most = 60
	if len(value) <= most {
		return strconv.Quote(value)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(value[cut]) {
		cut--
	}
	return strconv.Quote(value[:cut]) + "…"
}

// usage is the form of a message.
func (s *Spec) usage() string {
	if s.Usage != "" {
		return s.Usage
	}
	words := []string{s.Name}
	for _, a := range s.Args {
		w := strings.ToUpper(a.Name)
		if a.Rest {
			w += "..."
		}
		if a.Optional {
			w = "[" + w + "]"
		}
		words = append(words, w)
	}
	if s.Script != "" && len(s.Args) == 0 {
		words = append(words, "[ARG...]")
	}
	return strings.Join(words, " ")
}

// Template is text with arguments to be filled in: {name} stands for one, {{
// and }} for the braces themselves.
type Template struct{ parts []part }

type part struct {
	text string
	arg  string // set for an argument
}

var argName = regexp.MustCompile(`\A[a-z][a-z0-9_]{0,31}\z`)

// ValidName reports whether an argument may have this name.
func ValidName(name string) bool { return argName.MatchString(name) }

// NewTemplate parses a template; names are the arguments that there are.
func NewTemplate(text string, names []string) (Template, error) {
	var t Template
	var plain strings.Builder
	for rest := text; rest != ""; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			plain.WriteString(rest)
			break
		}
		plain.WriteString(rest[:i])
		brace := rest[i : i+1]
		rest = rest[i+1:]
		if strings.HasPrefix(rest, brace) {
			plain.WriteString(brace)
			rest = rest[1:]
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		switch {
		case brace == "}":
			return t, errors.New("has a } without a {; write }} for the brace itself")
		case !closed || !ValidName(name):
			return t, errors.New("has a { that begins no argument such as {name}; write {{ for the brace itself")
		case !slices.Contains(names, name):
			return t, fmt.Errorf("names an argument {%s} that is not in args", name)
		}
		t.parts = append(t.parts, part{text: plain.String()}, part{arg: name})
		plain.Reset()
		rest = after
	}
	t.parts = append(t.parts, part{text: plain.String()})
	return t, nil
}

// HasArgs reports whether the template names an argument.
func (t Template) HasArgs() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.arg != "" })
}

// expand fills the arguments in. A template that names an argument which was
// left out gives nothing; one that is nothing but an argument gives each of
// its values.
func (t Template) expand(v Values) []string {
	var only string
	count := 0
	for _, p := range t.parts {
		switch {
		case p.arg != "" && v[p.arg] == nil:
			return nil
		case p.arg != "":
			only = p.arg
			count++
		case p.text != "":
			count += 2
		}
	}
	if count == 1 {
		return v[only]
	}
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.text)
		b.WriteString(strings.Join(v[p.arg], " "))
	}
	return []string{b.String()}
}

// text fills the arguments in, those that were left out as nothing.
func (t Template) text(v Values) string {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.text)
		if p.arg != "" {
			b.WriteString(strings.Join(v[p.arg], " "))
		}
	}
	return b.String()
}

// Plain returns a template of text alone, in which braces are braces.
func Plain(text string) Template { return Template{parts: []part{{text: text}}} }
