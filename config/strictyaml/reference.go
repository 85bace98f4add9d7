package strictyaml

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxReferenced is the largest file that a reference may name.
const maxReferenced = 1 << 20

// Lookup finds what references stand for. A nil function finds nothing.
type Lookup struct {
	// Env returns the environment variable of that name, if it is set.
	Env func(name string) (value string, ok bool)
	// File returns the content of the file at that path.
	File func(path string) ([]byte, error)
}

// System looks into the process's environment and the file system.
func System() Lookup { return Lookup{Env: os.LookupEnv, File: os.ReadFile} }

var (
	envName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	capitals = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`) // as variables are mostly written
)

// Expand resolves the references in a text that stands outside of a file, such
// as an argument of a command. Its errors never contain what a reference stands
// for.
func (l Lookup) Expand(raw string) (string, error) {
	value, _, err := l.expand(raw)
	return value, err
}

// expand resolves the references in a text and reports whether it had any.
// Its errors never contain what a reference stands for.
func (l Lookup) expand(raw string) (value string, refers bool, err error) {
	const escape = "$${"
	var b strings.Builder
	for s := raw; ; {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), refers, nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1])
			b.WriteString("${")
			s = s[i-1+len(escape):]
			continue
		}
		b.WriteString(s[:i])
		reference, after, closed := strings.Cut(s[i+2:], "}")
		if !closed {
			return "", false, errors.New("a reference begins with ${ and has no }; write $${ for ${ itself")
		}
		found, err := l.resolve(reference)
		if err != nil {
			return "", false, err
		}
		b.WriteString(found)
		s, refers = after, true
	}
}

func (l Lookup) resolve(reference string) (string, error) {
	scheme, name, _ := strings.Cut(reference, ":")
	var value string
	switch {
	case scheme == "env" && envName.MatchString(name):
		found := false
		if l.Env != nil {
			value, found = l.Env(name)
		}
		if !found {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		if value == "" {
			return "", fmt.Errorf("the environment variable %s is empty", name)
		}
	case scheme == "file" && name != "":
		content, err := l.read(name)
		if err != nil {
			return "", err
		}
		if value = content; value == "" {
			return "", fmt.Errorf("the file %q is empty", name)
		}
	default:
		what := "what begins with ${ here" // it may be a part of a secret
		if scheme == "env" || scheme == "file" || capitals.MatchString(reference) {
			what = strconv.Quote("${" + reference + "}")
		}
		return "", fmt.Errorf("%s is no reference; write ${env:NAME} or ${file:PATH}, or $${ for ${ itself", what)
	}
	if !utf8.ValidString(value) {
		return "", fmt.Errorf("what ${%s} stands for is no UTF-8 text", reference)
	}
	return value, nil
}

// read returns the file without one line break at its end, which editors and
// echo leave there.
func (l Lookup) read(path string) (string, error) {
	if l.File == nil {
		return "", fmt.Errorf("the file %q cannot be read here", path)
	}
	content, err := l.File(path)
	if err != nil {
		return "", fmt.Errorf("the secret cannot be read: %w", err)
	}
	if len(content) > maxReferenced {
		return "", fmt.Errorf("the file %q is larger than %d KiB", path, maxReferenced>>10)
	}
	s, found := strings.CutSuffix(string(content), "\r\n")
	if !found {
		s = strings.TrimSuffix(s, "\n")
	}
	return s, nil
}
