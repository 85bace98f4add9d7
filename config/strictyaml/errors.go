package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one fault of a file. Lines and columns count from 1; columns count
// characters.
type Error struct {
	File   string
	Line   int
	Column int
	// Path names the value, as adapters[0].mode; empty for the whole file.
	Path   string
	Detail string
}

func (e *Error) Error() string {
	at := fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Column)
	if e.Path == "" {
		return at + e.Detail
	}
	return at + e.Path + ": " + e.Detail
}

// Holds reports whether the value that e is about is that of other, or contains
// it.
func (e *Error) Holds(other *Error) bool { return holds(e.Path, other.Path) }

// Errors are all the faults of a file, by their position.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults, for errors.As.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, one := range e {
		errs[i] = one
	}
	return errs
}

// Sorted returns the faults as one error, by position and without repetitions,
// or nil if there are none.
func Sorted(faults ...*Error) error {
	if len(faults) == 0 {
		return nil
	}
	faults = slices.Clone(faults)
	slices.SortStableFunc(faults, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return Errors(slices.CompactFunc(faults, func(a, b *Error) bool { return *a == *b }))
}
