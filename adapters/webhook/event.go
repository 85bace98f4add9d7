package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// event is one call whose signature was right.
type event struct {
	provider string
	// id is what makes the delivery known when it comes again.
	id string
	// kind is the event's name, as the provider calls it.
	kind    string
	payload map[string]any
}

// readEvent reads the body of a call that was verified.
func readEvent(cfg Config, h http.Header, id string, body []byte) (*event, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("its body is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var payload any
	if err := d.Decode(&payload); err != nil {
		return nil, errors.New("its body is no JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("its body has more than one JSON value")
	}
	object, ok := plain(payload).(map[string]any)
	if !ok {
		return nil, errors.New("its body is no JSON object")
	}
	e := &event{provider: cfg.Provider, id: id, payload: object}
	switch cfg.Provider {
	case GitHub:
		e.kind = h.Get(githubEvent)
	case GitLab:
		e.kind = gitlabKind(object)
	case Standard:
		e.kind = e.string("type")
	case Generic:
		if cfg.EventHeader != "" {
			kind, err := one(h, cfg.EventHeader)
			if err != nil {
				return nil, err
			}
			e.kind = kind
		}
	}
	return e, nil
}

// plain returns a JSON value with its numbers as Go's own, which have no
// methods that a template could call. One that does not fit stays text.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = plain(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = plain(inner)
		}
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return f
		}
		return v.String()
	}
	return v
}

// at returns the value at a path of names, and false if there is none.
func (e *event) at(path ...string) (any, bool) {
	var v any = e.payload
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// string returns the text at a path; empty if there is none.
func (e *event) string(path ...string) string {
	v, _ := e.at(path...)
	s, _ := v.(string)
	return s
}

// number returns the whole number at a path as text; empty if there is none.
func (e *event) number(path ...string) string {
	v, _ := e.at(path...)
	if i, ok := v.(int64); ok {
		return strconv.FormatInt(i, 10)
	}
	return ""
}

// first returns the first text of the paths that is not empty.
func (e *event) first(paths ...string) string {
	for _, path := range paths {
		if s := e.string(strings.Split(path, ".")...); s != "" {
			return s
		}
	}
	return ""
}

// short returns the value of a shorthand key, and false if the event has none.
func (e *event) short(key string) (string, bool) {
	f := shorthands(e.provider)[key]
	if f == nil {
		return "", false
	}
	value := f(e)
	return value, value != ""
}

// shorthands are the keys of rules that need no path.
func shorthands(provider string) map[string]func(e *event) string {
	switch provider {
	case GitHub:
		return githubKeys
	case GitLab:
		return gitlabKeys
	}
	return plainKeys
}

// plainKeys are those of senders that nothing else is known of.
var plainKeys = map[string]func(e *event) string{"event": func(e *event) string { return e.kind }}

// repo is the repository or project of the event; empty if it has none, or one
// that no repository can be called.
func (e *event) repo() string {
	name, _ := e.short("repo")
	if !isRepo(name) {
		return ""
	}
	return name
}

// isRepo reports whether name is owner/name, with groups between where there
// are any, and can stand in a path.
func isRepo(name string) bool {
	const most = 255
	if len(name) > most || !strings.Contains(name, "/") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsFunc(part, notInRepo) {
			return false
		}
	}
	return true
}

func notInRepo(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("._-", r)
}

// name says for people whose event it is.
func (e *event) name() string {
	who, _ := e.short("actor")
	parts := make([]string, 0, 2)
	for _, part := range []string{e.repo(), who} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return e.kind
	}
	return fmt.Sprintf("%s (%s)", strings.Join(parts, ", "), e.kind)
}
