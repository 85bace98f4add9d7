package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
)

const (
	// MaxBytes is the largest file that is read.
	MaxBytes = 1 << 20
	// maxDepth is how deep values may be nested.
	maxDepth = 100
)

// Document is a parsed file. It never changes, so its methods may be called
// concurrently.
type Document struct {
	name string
	root *node // nil if the file is empty
	// faults are what Parse found.
	faults []*Error
}

// Parse reads a file; name is what errors call it. With an error, which is
// Errors, the document is there all the same, so that decoding it can find
// more; what the error is about counts as absent.
func Parse(name string, data []byte, lookup Lookup) (*Document, error) {
	d := &Document{name: name}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if fault := d.unreadable(data); fault != nil {
		return d, Sorted(fault)
	}
	file, fault := d.parse(data)
	if fault != nil {
		return d, Sorted(fault)
	}
	b := &builder{file: name, lookup: lookup}
	d.root = b.document(file)
	d.faults = b.faults
	return d, Sorted(b.faults...)
}

// unreadable finds what the parser should not even be given.
func (d *Document) unreadable(data []byte) *Error {
	if len(data) > MaxBytes {
		return d.fault(place{1, 1}, "the file is larger than %d KiB", MaxBytes>>10)
	}
	at, depth := place{line: 1}, 0
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		i += size
		at.column++
		switch {
		case r == utf8.RuneError && size == 1:
			return d.fault(at, "this byte is no UTF-8; save the file as UTF-8")
		case r == '\n':
			at = place{line: at.line + 1}
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return d.fault(at, "the control character U+%04X does not belong in a config", r)
		case r == '[' || r == '{':
			depth++
		case r == ']' || r == '}':
			depth = max(0, depth-1)
		}
		if depth > maxDepth {
			return d.fault(at, "brackets are nested more than %d deep", maxDepth)
		}
	}
	return nil
}

// parse calls the parser, of which no input may bring the program down. Its
// messages are used without the excerpt of the file, which may be a secret.
func (d *Document) parse(data []byte) (file *ast.File, fault *Error) {
	defer func() {
		if recover() != nil {
			file, fault = nil, d.fault(place{1, 1}, "this is no YAML that can be understood")
		}
	}()
	file, err := parser.Parse(rejoin(lexer.Tokenize(string(data))), 0, parser.AllowDuplicateMapKey())
	if err == nil {
		return file, nil
	}
	var positioned yaml.Error
	if !errors.As(err, &positioned) {
		return nil, d.fault(place{1, 1}, "this is no YAML that can be understood")
	}
	message, _, _ := strings.Cut(positioned.GetMessage(), "\n")
	return nil, d.fault(placeOf(positioned.GetToken()), "not valid YAML: %s", message)
}

func (d *Document) fault(at place, format string, args ...any) *Error {
	return &Error{File: d.name, Line: at.line, Column: at.column, Detail: fmt.Sprintf(format, args...)}
}

// Errorf makes an error about the value at path, such as rules[2].who[0]. If
// the file does not have it, the error points at the part that would hold it.
func (d *Document) Errorf(path, format string, args ...any) *Error {
	at, _ := d.find(path)
	e := d.fault(at, format, args...)
	e.Path = path
	return e
}

// Has reports whether the file has a value at path.
func (d *Document) Has(path string) bool {
	_, ok := d.find(path)
	return ok
}

// find walks down path as far as the file goes.
func (d *Document) find(path string) (at place, ok bool) {
	if d.root == nil {
		return place{1, 1}, false
	}
	n, at := d.root, d.root.at
	for path != "" {
		next, rest := n.child(path)
		if next == nil {
			return at, false
		}
		n, at, path = next, next.at, strings.TrimPrefix(rest, ".")
	}
	return at, true
}

// child returns the value that path begins with, and the rest of the path.
func (n *node) child(path string) (value *node, rest string) {
	if index, after, ok := strings.Cut(path, "]"); ok && n.kind == sequence {
		for i, item := range n.items {
			if index == fmt.Sprintf("[%d", i) {
				return item, after
			}
		}
		return nil, ""
	}
	longest := -1
	for _, e := range n.entries {
		after, begins := strings.CutPrefix(path, e.key)
		if begins && len(e.key) > longest && (after == "" || after[0] == '.' || after[0] == '[') {
			value, rest, longest = e.value, after, len(e.key)
		}
	}
	return value, rest
}
