package strictyaml

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// place is a line and column, from 1.
type place struct{ line, column int }

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{max(1, t.Position.Line), max(1, t.Position.Column)}
}

// kind is what a value is.
type kind int

const (
	null kind = iota
	boolean
	number
	str
	mapping
	sequence
	// broken is a value that a fault was reported for already.
	broken
)

func (k kind) String() string {
	return [...]string{"nothing", "true or false", "a number", "text", "a mapping", "a list", "a broken value"}[k]
}

// node is a value of the file.
type node struct {
	kind kind
	// at is where the value begins: for a mapping or list that is written
	// below its key, where the key is.
	at place
	// text is what a scalar says, with references resolved.
	text string
	// refers says that text is not what the file shows, and may be secret;
	// raw is what the file shows.
	refers  bool
	raw     string
	items   []*node
	entries []entry
}

// entry is one key of a mapping.
type entry struct {
	key   string
	at    place
	value *node
}

// builder makes nodes of what the parser understood, and reports what a
// config must not have.
type builder struct {
	file   string
	lookup Lookup
	faults []*Error
}

func (b *builder) fail(at place, path, format string, args ...any) *node {
	b.faults = append(b.faults, &Error{
		File: b.file, Line: at.line, Column: at.column, Path: path, Detail: fmt.Sprintf(format, args...),
	})
	return &node{kind: broken, at: at}
}

func (b *builder) document(file *ast.File) *node {
	var root *node
	for _, doc := range file.Docs {
		switch body := doc.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.DirectiveNode:
			continue
		default:
			if root != nil {
				b.fail(start(body), "", "a second document begins here; a config is one document")
				return root
			}
			root = b.value(body, start(body), "", 0)
		}
	}
	return root
}

// value makes a node of n; at is where its key is, or n itself.
func (b *builder) value(n ast.Node, at place, path string, depth int) *node {
	if depth > maxDepth {
		return b.fail(at, path, "values are nested more than %d deep", maxDepth)
	}
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return &node{kind: null, at: at}
	case *ast.BoolNode:
		return b.scalar(boolean, n)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return b.scalar(number, n)
	case *ast.StringNode:
		return b.text(placeOf(n.GetToken()), path, n.Value)
	case *ast.LiteralNode:
		return b.text(placeOf(n.GetToken()), path, n.Value.Value)
	case *ast.MappingNode:
		if n.IsFlowStyle {
			at = placeOf(n.Start)
		}
		return b.mapping(n.Values, at, path, depth)
	case *ast.MappingValueNode:
		return b.mapping([]*ast.MappingValueNode{n}, at, path, depth)
	case *ast.SequenceNode:
		if n.IsFlowStyle {
			at = placeOf(n.Start)
		}
		return b.sequence(n, at, path, depth)
	case *ast.AnchorNode, *ast.AliasNode:
		return b.fail(start(n), path, "anchors and aliases (&name, *name) are not used in a config; write the value out, or put quotes around it if it is text")
	case *ast.TagNode:
		return b.fail(start(n), path, "tags (!name) are not used in a config; put quotes around the value if it is text")
	}
	return b.fail(start(n), path, "this kind of YAML is not used in a config")
}

func (b *builder) scalar(k kind, n ast.Node) *node {
	t := n.GetToken()
	return &node{kind: k, at: placeOf(t), text: t.Value, raw: t.Value}
}

func (b *builder) text(at place, path, raw string) *node {
	value, refers, err := b.lookup.expand(raw)
	if err != nil {
		return b.fail(at, path, "%v", err)
	}
	return &node{kind: str, at: at, text: value, refers: refers, raw: raw}
}

func (b *builder) sequence(n *ast.SequenceNode, at place, path string, depth int) *node {
	list := &node{kind: sequence, at: at}
	for i, item := range n.Values {
		list.items = append(list.items, b.value(item, start(item), fmt.Sprintf("%s[%d]", path, i), depth+1))
	}
	return list
}

func (b *builder) mapping(pairs []*ast.MappingValueNode, at place, path string, depth int) *node {
	m := &node{kind: mapping, at: at}
	lines := map[string]int{}
	for _, pair := range pairs {
		at := start(pair.Key)
		key, ok := keyText(pair.Key)
		if !ok {
			b.fail(at, path, "a key must be plain text; put quotes around it")
			continue
		}
		value := b.value(pair.Value, at, join(path, key), depth+1)
		if line, twice := lines[key]; twice {
			b.fail(at, path, "key %q is here twice; the first is in line %d", key, line)
			continue
		}
		lines[key] = at.line
		m.entries = append(m.entries, entry{key: key, at: at, value: value})
	}
	return m
}

func keyText(n ast.Node) (string, bool) {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value, true
	}
	return "", false
}

// join adds a key to a path.
func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

// start returns where a value begins.
func start(n ast.Node) place {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return start(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return start(n.Key)
	case nil:
		return place{1, 1}
	}
	return placeOf(n.GetToken())
}
