package webhook

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// matcher says which events a rule is for: all of its conditions hold.
type matcher []condition

// condition holds one value of an event against patterns.
type condition struct {
	// path leads to a value in the payload; nil stands for the shorthand key.
	path []string
	key  string
	// not turns the patterns round: the value is there and fits none.
	not      bool
	patterns []string
}

const (
	// maxPath is how deep a path may go.
	maxPath = 20
	// maxValues is how many values of lists are looked at.
	maxValues = 1000
)

// newMatcher reads the conditions of a rule. Its error is a *keyError.
func newMatcher(provider string, on map[string]string) (matcher, error) {
	known := shorthands(provider)
	var m matcher
	for _, key := range slices.Sorted(maps.Keys(on)) {
		c := condition{key: key}
		switch {
		case strings.Contains(key, "."):
			c.path = strings.Split(strings.TrimPrefix(key, "."), ".")
			if slices.Contains(c.path, "") || len(c.path) > maxPath {
				return nil, &keyError{key, "is no path such as .workflow_run.event"}
			}
		case known[key] == nil:
			return nil, &keyError{key, fmt.Sprintf("is no key of %s events; they are %s, and .%s is what the payload has under that name",
				provider, strings.Join(slices.Sorted(maps.Keys(known)), ", "), key)}
		}
		text, not := strings.CutPrefix(strings.TrimSpace(on[key]), "!")
		c.not = not
		for pattern := range strings.SplitSeq(text, " | ") {
			c.patterns = append(c.patterns, strings.TrimSpace(pattern))
		}
		m = append(m, c)
	}
	return m, nil
}

// fits reports whether the event is one of those the rule is for.
func (m matcher) fits(e *event) bool {
	for _, c := range m {
		if !c.holds(e) {
			return false
		}
	}
	return true
}

func (c condition) holds(e *event) bool {
	var values []string
	if c.path == nil {
		value, ok := e.short(c.key)
		if !ok {
			return false
		}
		values = []string{value}
	} else {
		values = valuesAt(e.payload, c.path, nil)
	}
	if len(values) == 0 {
		return false
	}
	return slices.ContainsFunc(values, c.fitsOne) != c.not
}

func (c condition) fitsOne(value string) bool {
	return slices.ContainsFunc(c.patterns, func(p string) bool { return glob(p, value) })
}

// valuesAt appends the values that a path leads to. Of a list it leads to every
// item, or with a number to that one.
func valuesAt(v any, path, to []string) []string {
	if len(to) >= maxValues {
		return to
	}
	switch v := v.(type) {
	case []any:
		if len(path) > 0 {
			if i, err := strconv.Atoi(path[0]); err == nil {
				if i < 0 || i >= len(v) {
					return to
				}
				return valuesAt(v[i], path[1:], to)
			}
		}
		for _, item := range v {
			to = valuesAt(item, path, to)
		}
		return to
	case map[string]any:
		if len(path) == 0 {
			return to
		}
		inner, ok := v[path[0]]
		if !ok {
			return to
		}
		return valuesAt(inner, path[1:], to)
	}
	if len(path) > 0 {
		return to
	}
	if v == nil {
		return append(to, "null")
	}
	if s, err := text(v); err == nil {
		to = append(to, s)
	}
	return to
}

// glob reports whether a value fits a pattern, in which * stands for any text,
// none too.
func glob(pattern, value string) bool {
	pieces := strings.Split(pattern, "*")
	last := len(pieces) - 1
	if last == 0 {
		return pattern == value
	}
	rest, ok := strings.CutPrefix(value, pieces[0])
	if !ok {
		return false
	}
	for _, piece := range pieces[1:last] {
		at := strings.Index(rest, piece)
		if at < 0 {
			return false
		}
		rest = rest[at+len(piece):]
	}
	return strings.HasSuffix(rest, pieces[last])
}
