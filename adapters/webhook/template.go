package webhook

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

// message is a template that makes one line of printable text. What it takes
// from a payload is one word each time, unless it says otherwise, so that
// nobody adds a word to a command by the name of a branch.
type message struct {
	t     *template.Template
	limit int // in bytes
}

// functions are those that a template may call, beside those of allowed.
var functions = template.FuncMap{
	"word": word, "words": words, "quote": quote,
	"lower": strings.ToLower, "upper": strings.ToUpper,
	"trimPrefix": func(prefix, text string) string { return strings.TrimPrefix(text, prefix) },
	"trimSuffix": func(suffix, text string) string { return strings.TrimSuffix(text, suffix) },
	"short":      short,
}

// allowed are the functions of text/template that only look at values.
var allowed = []string{"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "len", "slice"}

// finishing are the functions that say how a value becomes text.
var finishing = []string{"word", "words", "quote"}

// newMessage compiles a template. Its error says what is wrong with it.
func newMessage(text string, limit int) (*message, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("is empty")
	}
	if strings.ContainsAny(text, "\n\r") {
		return nil, errors.New("has more than one line, and a message is one")
	}
	t, err := template.New("send").Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("is no template: %s", strings.TrimPrefix(err.Error(), "template: send:"))
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("defines other templates, which it may not")
	}
	if t.Tree == nil || t.Root == nil {
		return nil, errors.New("is empty")
	}
	if err := restrain(t.Root); err != nil {
		return nil, err
	}
	return &message{t: t, limit: limit}, nil
}

// restrain checks which functions a template calls, and makes a word of what
// it puts into the text.
func restrain(n parse.Node) error {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, one := range n.Nodes {
			if err := restrain(one); err != nil {
				return err
			}
		}
	case *parse.ActionNode:
		if err := restrainPipe(n.Pipe); err != nil {
			return err
		}
		if len(n.Pipe.Decl) == 0 {
			finish(n.Pipe)
		}
	case *parse.IfNode:
		return restrainBranch(&n.BranchNode)
	case *parse.RangeNode:
		return restrainBranch(&n.BranchNode)
	case *parse.WithNode:
		return restrainBranch(&n.BranchNode)
	case *parse.TemplateNode:
		return errors.New("calls another template, which it may not")
	}
	return nil
}

func restrainBranch(n *parse.BranchNode) error {
	if err := restrainPipe(n.Pipe); err != nil {
		return err
	}
	if err := restrain(n.List); err != nil {
		return err
	}
	return restrain(n.ElseList)
}

func restrainPipe(p *parse.PipeNode) error {
	if p == nil {
		return nil
	}
	for _, cmd := range p.Cmds {
		for _, arg := range cmd.Args {
			switch arg := arg.(type) {
			case *parse.IdentifierNode:
				if _, ours := functions[arg.Ident]; !ours && !slices.Contains(allowed, arg.Ident) {
					return fmt.Errorf("calls %s, which it may not", arg.Ident)
				}
			case *parse.PipeNode:
				if err := restrainPipe(arg); err != nil {
					return err
				}
			case *parse.ChainNode:
				if inner, ok := arg.Node.(*parse.PipeNode); ok {
					if err := restrainPipe(inner); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// finish makes a word of the pipe's value, unless it says how it becomes text.
func finish(p *parse.PipeNode) {
	last := p.Cmds[len(p.Cmds)-1]
	if id, ok := last.Args[0].(*parse.IdentifierNode); ok && slices.Contains(finishing, id.Ident) {
		return
	}
	p.Cmds = append(p.Cmds, &parse.CommandNode{
		NodeType: parse.NodeCommand, Pos: p.Pos, Args: []parse.Node{parse.NewIdentifier("word").SetPos(p.Pos)},
	})
}

// expand makes the message of an event. Its errors show nothing of the payload
// but where it is at fault.
func (m *message) expand(payload map[string]any) (string, error) {
	w := limited{left: m.limit}
	if err := m.t.Execute(&w, payload); err != nil {
		if errors.Is(err, errTooLong) {
			return "", m.tooLong()
		}
		return "", templateError(err)
	}
	text := w.b.String()
	if err := printable(text); err != nil {
		return "", err
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", errors.New("the message would be empty")
	}
	return text, nil
}

func (m *message) tooLong() error {
	return fmt.Errorf("the message would be longer than %d bytes", m.limit)
}

// printable says why text is no line of printable text.
func printable(text string) error {
	switch {
	case !utf8.ValidString(text):
		return errors.New("the message would not be valid text")
	case strings.ContainsAny(text, "\n\r\v\f\u0085\u2028\u2029"):
		return errors.New("the message would have more than one line")
	case chat.Readable(text) != text:
		return errors.New("the message would have characters in it that cannot be printed")
	}
	return nil
}

// valueError is why a value of the payload is no part of a message.
type valueError struct{ detail string }

func (e *valueError) Error() string { return e.detail }

// templateError makes a sentence of an error of text/template.
func templateError(err error) error {
	var exec template.ExecError
	if !errors.As(err, &exec) {
		return errors.New("the template cannot be filled")
	}
	text := chat.Readable(strings.TrimPrefix(exec.Error(), "template: send:"))
	var value *valueError
	if at, _, ok := strings.Cut(text, ": executing"); ok && errors.As(err, &value) {
		return fmt.Errorf("the template cannot be filled at %s: %w", at, value)
	}
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Errorf("the template cannot be filled: %s", text)
}

// text returns a value as it is written in a message.
func text(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case nil:
		return "", &valueError{"a value is null, or not there"}
	}
	return "", &valueError{"a value is a list or a mapping, and no text"}
}

// word returns a value that is one word.
func word(value any) (string, error) {
	s, err := text(value)
	switch {
	case err != nil:
		return "", err
	case s == "":
		return "", &valueError{"a value is empty"}
	case strings.ContainsFunc(s, blank):
		return "", &valueError{"a value is more than one word; quote keeps it together, words lets it be several"}
	case strings.ContainsRune(openingQuotes, firstRune(s)):
		return "", &valueError{"a value begins with a quotation mark"}
	}
	return s, nil
}

// words returns a value of one line as it is.
func words(value any) (string, error) { return text(value) }

// openingQuotes are what a quoted word may begin with; an agent drops it and
// looks for the closing one.
const openingQuotes = "\"'“”„«‘’‚"

// quote returns a value in quotation marks, so that it is one word for an
// agent, whatever is in it.
func quote(value any) (string, error) {
	s, err := text(value)
	if err != nil {
		return "", err
	}
	for _, mark := range []string{`"`, `'`} {
		if !endsInside(s, mark) {
			return mark + s + mark, nil
		}
	}
	return "", &valueError{"a value has both kinds of quotation marks at the end of words, and cannot be quoted"}
}

// endsInside reports whether the mark ends a word within s, or s itself, where
// an agent would take it for the closing one.
func endsInside(s, mark string) bool {
	for {
		at := strings.Index(s, mark)
		if at < 0 {
			return false
		}
		s = s[at+len(mark):]
		if s == "" {
			continue // followed by the closing mark, which is no blank
		}
		if blank(firstRune(s)) {
			return true
		}
	}
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// blank reports white space, and what is taken for it where a message is read.
func blank(r rune) bool {
	switch r {
	case '\u200b', '\u2060', '\ufeff':
		return true
	}
	return unicode.IsSpace(r)
}

// short returns the first 12 characters of a commit's ID.
func short(text string) string {
	const length = 12
	return text[:min(len(text), length)]
}

var errTooLong = errors.New("too long")

// limited keeps what is written, up to a limit.
type limited struct {
	b    strings.Builder
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errTooLong
	}
	l.left -= len(p)
	return l.b.Write(p)
}
