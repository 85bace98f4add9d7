package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/nearest"
)

// Validator is implemented by structs that check themselves once they are
// filled. Of an error, and each error that it joins, which has a method
// Field() (path, detail string), path names the value within the struct.
type Validator interface {
	Validate() error
}

// fieldError is an error that knows which value it is about.
type fieldError interface {
	error
	Field() (path, detail string)
}

// Invalid makes an error for Validate about the value at path.
func Invalid(path, format string, args ...any) error {
	return &invalid{path: path, detail: fmt.Sprintf(format, args...)}
}

type invalid struct{ path, detail string }

func (e *invalid) Error() string                { return e.path + ": " + e.detail }
func (e *invalid) Field() (path, detail string) { return e.path, e.detail }

var (
	secretType   = reflect.TypeFor[chat.Secret]()
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// Decode fills the struct that into points to, and leaves what the file does
// not mention as it is, so that defaults go in before. The error is Errors,
// or about into itself. Warnings are faults that do not keep the file from
// being used: secrets that stand in it as they are.
func (d *Document) Decode(into any) (warnings []*Error, err error) {
	return d.decode(d.root, "", into, nil)
}

// Section is a part of a file that is decoded later, by a type that only its
// reader knows. It is the type of a field tagged yaml:",rest", which takes
// the keys that its struct does not.
type Section struct {
	doc   *Document
	node  *node
	path  string
	known []string // keys that others took
}

// Decode fills the struct that into points to, as strictly as the rest of the
// file is read; see Document.Decode.
func (s Section) Decode(into any) (warnings []*Error, err error) {
	if s.doc == nil {
		return nil, errors.New("this section was not read from a file")
	}
	return s.doc.decode(s.node, s.path, into, s.known)
}

// Errorf makes an error about a key of the section, or about the whole of it
// if key is empty.
func (s Section) Errorf(key, format string, args ...any) *Error {
	if s.doc == nil {
		return &Error{Line: 1, Column: 1, Path: key, Detail: fmt.Sprintf(format, args...)}
	}
	return s.doc.Errorf(join(s.path, key), format, args...)
}

// Place finds the places of an error about keys of the section; see
// Document.Place. It is nil if err is, or if all that it says is about values
// in which Parse found a fault: they were empty for whoever made the error.
func (s Section) Place(err error) error {
	if s.doc == nil {
		return err
	}
	return Sorted(besides(s.doc.Place(s.path, err), s.doc.faults)...)
}

// besides returns the faults that are not about values at fault already.
func besides(faults, already []*Error) []*Error {
	return slices.DeleteFunc(faults, func(e *Error) bool {
		return slices.ContainsFunc(already, func(f *Error) bool { return f.Holds(e) || e.Holds(f) })
	})
}

func (d *Document) decode(n *node, path string, into any, known []string) ([]*Error, error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("a config is decoded into a pointer to a struct, not %T", into)
	}
	if n == nil {
		n = &node{kind: null, at: place{1, 1}}
	}
	dec := &decoder{doc: d}
	dec.structure(n, path, v.Elem(), known)
	return dec.warnings, Sorted(dec.faults...)
}

// decoder fills one value and collects what is wrong.
type decoder struct {
	doc      *Document
	faults   []*Error
	warnings []*Error
}

func (d *decoder) fail(at place, path, format string, args ...any) {
	e := d.doc.fault(at, format, args...)
	e.Path = path
	d.faults = append(d.faults, e)
}

// value decodes n into v.
func (d *decoder) value(n *node, path string, v reflect.Value, f Field) {
	if n.kind == broken {
		return
	}
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		if n.kind == null {
			return
		}
		p := reflect.New(t.Elem())
		d.value(n, path, p.Elem(), f)
		v.Set(p)
	case t == secretType, t == durationType, reflect.PointerTo(t).Implements(textType):
		d.scalar(n, path, v, f)
	case t.Kind() == reflect.Struct:
		if n.kind != null { // a section with everything in it commented out
			d.structure(n, path, v, nil)
		}
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		d.mapping(n, path, v, f)
	case t.Kind() == reflect.Slice:
		d.list(n, path, v, f)
	default:
		d.scalar(n, path, v, f)
	}
}

// structure decodes a mapping into a struct; known are further keys that are
// right and belong to somebody else.
func (d *decoder) structure(n *node, path string, v reflect.Value, known []string) {
	fields := Fields(v.Type())
	if n.kind != null && n.kind != mapping {
		if n.kind != broken {
			d.fail(n.at, path, "must be a mapping (key: value), not %s", n.kind)
		}
		return
	}
	rest := slices.IndexFunc(fields, func(f Field) bool { return f.Rest })
	right := append(names(fields), known...)
	seen := map[string]bool{}
	for _, e := range n.entries {
		f, ok := named(fields, e.key)
		switch {
		case ok:
			seen[e.key] = true
			d.value(e.value, join(path, e.key), v.Field(f.Index), f)
		case rest < 0 && !slices.Contains(known, e.key):
			d.unknown(e, path, right)
		}
	}
	for _, f := range fields {
		if f.Required && !seen[f.Name] {
			d.fail(n.at, path, "key %q is missing", f.Name)
		}
	}
	if rest >= 0 {
		v.Field(fields[rest].Index).Set(reflect.ValueOf(Section{doc: d.doc, node: n, path: path, known: names(fields)}))
	}
	d.validate(path, v)
}

func (d *decoder) unknown(e entry, path string, right []string) {
	s := fmt.Sprintf("unknown key %q", e.key)
	if near, ok := nearest.Name(e.key, right); ok {
		s += fmt.Sprintf(", did you mean %q?", near)
	} else {
		s += "; the keys here are " + strings.Join(right, ", ")
	}
	d.fail(e.at, path, "%s", s)
}

// validate lets a struct check itself. What it says of values that are at
// fault already is left out: it saw a default in their place.
func (d *decoder) validate(path string, v reflect.Value) {
	checks, ok := v.Addr().Interface().(Validator)
	if !ok {
		return
	}
	already := slices.Concat(d.doc.faults, d.faults)
	d.faults = append(d.faults, besides(d.doc.Place(path, checks.Validate()), already)...)
}

// holds reports whether the value at the first path contains the other, or is
// it.
func holds(outer, inner string) bool {
	rest, ok := strings.CutPrefix(inner, outer)
	return ok && outer != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// Place finds the places of an error that says which values it is about, and
// of each error that it joins; see Validator. Their paths begin at path. What
// has its place already keeps it.
func (d *Document) Place(path string, err error) []*Error {
	var placed []*Error
	for _, one := range flatten(err) {
		var has *Error
		if errors.As(one, &has) {
			placed = append(placed, has)
			continue
		}
		sub, detail := "", one.Error()
		var fe fieldError
		if errors.As(one, &fe) {
			sub, detail = fe.Field()
		}
		placed = append(placed, d.Errorf(join(path, sub), "%s", detail))
	}
	return placed
}

// flatten returns the errors that were joined into one.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, one := range joined.Unwrap() {
			all = append(all, flatten(one)...)
		}
		return all
	}
	return []error{err}
}

func (d *decoder) mapping(n *node, path string, v reflect.Value, f Field) {
	switch n.kind {
	case null:
		return
	case mapping:
	default:
		d.fail(n.at, path, "must be a mapping (key: value), not %s", n.kind)
		return
	}
	t := v.Type()
	m := reflect.MakeMapWithSize(t, len(n.entries))
	for _, e := range n.entries {
		value := reflect.New(t.Elem()).Elem()
		d.value(e.value, join(path, e.key), value, Field{Min: f.Min, Max: f.Max})
		m.SetMapIndex(reflect.ValueOf(e.key).Convert(t.Key()), value)
	}
	v.Set(m)
}

func (d *decoder) list(n *node, path string, v reflect.Value, f Field) {
	switch n.kind {
	case null, sequence: // null: a list with everything in it commented out
	default:
		d.fail(n.at, path, "must be a list ([a, b]), not %s", n.kind)
		return
	}
	if f.MinItems && len(n.items) == 0 {
		d.fail(n.at, path, "must not be empty")
	}
	s := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		if item.kind == null {
			d.fail(item.at, fmt.Sprintf("%s[%d]", path, i), "has no value; give it one or leave the item out")
			continue
		}
		d.value(item, fmt.Sprintf("%s[%d]", path, i), s.Index(i), Field{Min: f.Min, Max: f.Max, Enum: f.Enum, Number: f.Number})
	}
	v.Set(s)
}
