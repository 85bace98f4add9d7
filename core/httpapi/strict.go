package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/agentapi"
)

// encoding/json takes names in any case, lets the last of two equal names
// win, and turns half a surrogate pair into a question mark. Each of these
// would run something else than what was written, so bodies of people and CI
// systems are held against their shape here.

// shape is the names that a JSON object may have; for an array, those of its
// elements. A shape without fields takes anything.
type shape struct {
	fields map[string]*shape
}

// shapeOf returns the shape of a type as encoding/json sees it.
func shapeOf(t reflect.Type) *shape {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := &shape{}
	if t.Kind() != reflect.Struct {
		return s
	}
	s.fields = make(map[string]*shape)
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			maps.Copy(s.fields, shapeOf(f.Type).fields)
		case f.IsExported() && name != "-":
			s.fields[name] = shapeOf(f.Type)
		}
	}
	return s
}

// names lists what the object may have, for errors.
func (s *shape) names() string {
	return strings.Join(slices.Sorted(maps.Keys(s.fields)), ", ")
}

// check walks valid JSON and refuses names that s does not have, names that
// come twice, and escapes that are no character.
func (s *shape) check(data []byte) error {
	if err := checkEscapes(data); err != nil {
		return err
	}
	w := walker{data: data}
	return w.value(s, "")
}

// walker reads JSON that encoding/json has found to be valid.
type walker struct {
	data []byte
	at   int
}

func (w *walker) value(s *shape, path string) error {
	switch w.peek() {
	case '{':
		if s == nil || s.fields == nil {
			w.skip()
			return nil
		}
		return w.object(s, path)
	case '[':
		if s == nil || s.fields == nil {
			w.skip()
			return nil
		}
		return w.array(s, path)
	}
	w.skip()
	return nil
}

func (w *walker) object(s *shape, path string) error {
	var first [8]string // most objects need no more room
	seen := first[:0]
	w.at++
	for w.peek() != '}' {
		name := w.name()
		inner, known := s.fields[name]
		if !known {
			return fail(agentapi.ProblemUnknownField, "there is no field %q here; known are %s", short(name), s.names()).at(path + short(name))
		}
		if slices.Contains(seen, name) {
			return fail(agentapi.ProblemBadJSON, "the field %q comes twice", name).at(path + name)
		}
		seen = append(seen, name)
		w.peek()
		w.at++ // the colon
		if err := w.value(inner, path+name+"."); err != nil {
			return err
		}
		w.comma()
	}
	w.at++
	return nil
}

func (w *walker) array(s *shape, path string) error {
	w.at++
	path = strings.TrimSuffix(path, ".")
	for i := 0; w.peek() != ']'; i++ {
		if err := w.element(s, path, i); err != nil {
			return err
		}
		w.comma()
	}
	w.at++
	return nil
}

// element names itself only once something is wrong with it.
func (w *walker) element(s *shape, path string, i int) error {
	err := w.value(s, "")
	if f, ok := err.(*failure); ok { //nolint:errorlint // made just above, never wrapped
		f.problem.Field = fmt.Sprintf("%s[%d].%s", path, i, f.problem.Field)
	}
	return err
}

// peek skips white space and returns the next byte, 0 at the end.
func (w *walker) peek() byte {
	for ; w.at < len(w.data); w.at++ {
		switch c := w.data[w.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (w *walker) comma() {
	if w.peek() == ',' {
		w.at++
	}
}

// name reads an object's name.
func (w *walker) name() string {
	start := w.at
	w.text()
	raw := w.data[start:w.at]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s) // valid, as all of the data is
	return s
}

// text passes over a string.
func (w *walker) text() {
	for w.at++; w.at < len(w.data); w.at++ {
		switch w.data[w.at] {
		case '\\':
			w.at++
		case '"':
			w.at++
			return
		}
	}
}

// skip passes over a value of any kind without recursion.
func (w *walker) skip() {
	depth := 0
	for w.at < len(w.data) {
		switch w.data[w.at] {
		case '"':
			w.text()
			if depth == 0 {
				return
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return // the end of what a number or word stands in
			}
			if depth--; depth == 0 {
				w.at++
				return
			}
		case ',':
			if depth == 0 {
				return
			}
		}
		w.at++
	}
}

// fieldAt names the field of the outermost object that byte at belongs to;
// empty if data is not valid otherwise.
func fieldAt(data []byte, at int) string {
	if !json.Valid(data) {
		return ""
	}
	w := walker{data: data, at: 1}
	for w.peek() != '}' {
		name := w.name()
		w.peek()
		w.at++ // the colon
		w.peek()
		w.skip()
		if w.at > at {
			return name
		}
		w.comma()
	}
	return ""
}

// checkEscapes refuses a \u escape of half a surrogate pair.
func checkEscapes(data []byte) error {
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 || i+1 >= len(data) {
			return nil
		}
		data = data[i:]
		unit, ok := escaped(data)
		switch {
		case !ok:
			data = data[2:]
		case unit < 0xD800 || unit > 0xDFFF:
			data = data[6:]
		default:
			low, paired := escaped(data[6:])
			if unit > 0xDBFF || !paired || low < 0xDC00 || low > 0xDFFF {
				return fail(agentapi.ProblemBadJSON, "%s is half a surrogate pair and no character", data[:6])
			}
			data = data[12:]
		}
	}
}

// escaped reads the UTF-16 unit of a \u escape at the start of data.
func escaped(data []byte) (unit rune, ok bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	for _, c := range data[2:6] {
		unit <<= 4
		switch {
		case c >= '0' && c <= '9':
			unit |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			unit |= rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			unit |= rune(c-'A') + 10
		default:
			return 0, false
		}
	}
	return unit, true
}

// short keeps a stranger's text from filling an error.
func short(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
