package strictyaml

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// tree is a value to be written as YAML and read again: a string, a []tree or
// a map[string]tree.
type tree any

var genPlain = rapid.SampledFrom(plainTexts)

var genText = rapid.OneOf(genPlain, rapid.StringMatching(`[ -~é☺]{0,12}`), rapid.SampledFrom([]string{
	"", "true", "null", "12", "1.5", "- a", "# a", "a: b", "a #b", "*x", "&x", "!x", "[a", "{a", "it's", `say "x"`, "two\nlines", " edge ", "a:", "@a", "`a", "%a", "~", "<<", "\ttab",
}))

func genTree(depth int) *rapid.Generator[tree] {
	leaf := rapid.Map(genText, func(s string) tree { return s })
	if depth == 0 {
		return leaf
	}
	return rapid.OneOf(
		leaf,
		rapid.Map(rapid.SliceOfN(genTree(depth-1), 1, 3), func(l []tree) tree { return l }),
		rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-z_]{1,5}`), genTree(depth-1), 1, 3), func(m map[string]tree) tree { return m }),
	)
}

// writer writes a tree, choosing styles as people do.
type writer struct {
	t *rapid.T
	b strings.Builder
}

func (w *writer) scalar(s string) {
	if slices.Contains(plainTexts, s) && rapid.Bool().Draw(w.t, "plain") {
		w.b.WriteString(s)
		return
	}
	if !strings.ContainsAny(s, "\n\t") && rapid.Bool().Draw(w.t, "single") {
		w.b.WriteString("'" + strings.ReplaceAll(s, "'", "''") + "'")
		return
	}
	w.b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`)
}

// plainTexts need no quotes even within brackets: principals, patterns,
// addresses.
var plainTexts = []string{
	"a", "web-*", "group:ops", "work-slack:T1/U2", "token:*", "x:y:z", "http://h:80/p", "a b c",
	"job-inbox:a@b.c", "deploy v1", "10.0.0.0/8", "é:ü", "$x", "a:1", "90d", "x:*y",
}

func (w *writer) flow(v tree) {
	switch v := v.(type) {
	case string:
		w.scalar(v)
	case []tree:
		w.b.WriteString("[")
		for i, item := range v {
			if i > 0 {
				w.b.WriteString(", ")
			}
			w.flow(item)
		}
		w.b.WriteString("]")
	case map[string]tree:
		w.b.WriteString("{")
		for i, k := range sortedKeys(v) {
			if i > 0 {
				w.b.WriteString(", ")
			}
			w.b.WriteString(`"` + k + `": `)
			w.flow(v[k])
		}
		w.b.WriteString("}")
	}
}

// block writes v below its key, in lines of their own.
func (w *writer) block(v tree, indent int) {
	margin := strings.Repeat("  ", indent)
	switch v := v.(type) {
	case []tree:
		for _, item := range v {
			w.b.WriteString(margin + "- ")
			w.flow(item)
			w.b.WriteString("\n")
		}
	case map[string]tree:
		for _, k := range sortedKeys(v) {
			fmt.Fprintf(&w.b, "%s\"%s\":", margin, k)
			if _, scalar := v[k].(string); scalar || rapid.Bool().Draw(w.t, "flow") {
				w.b.WriteString(" ")
				w.flow(v[k])
				w.b.WriteString("\n")
				continue
			}
			w.b.WriteString(" # below\n")
			w.block(v[k], indent+1)
		}
	}
}

func sortedKeys(m map[string]tree) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// plainTree is what was read, for comparison.
func plainTree(n *node) tree {
	switch n.kind {
	case sequence:
		l := make([]tree, len(n.items))
		for i, item := range n.items {
			l[i] = plainTree(item)
		}
		return l
	case mapping:
		m := make(map[string]tree, len(n.entries))
		for _, e := range n.entries {
			m[e.key] = plainTree(e.value)
		}
		return m
	case str:
		return n.text
	default:
		return n.kind
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOfN(rapid.StringMatching(`[a-z_]{1,5}`), genTree(3), 1, 4).Draw(t, "tree")
		w := &writer{t: t}
		w.block(want, 0)
		text := w.b.String()
		doc, err := Parse("f.yaml", []byte(strings.ReplaceAll(text, "${", "$${")), Lookup{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(tree(want), plainTree(doc.root)); diff != "" {
			t.Fatalf("(-want +got):\n%s\nof\n%s", diff, text)
		}
	})
}

func TestReferencesRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a${}:]{0,12}`).Draw(t, "text")
		got, refers, err := Lookup{}.expand(strings.ReplaceAll(text, "${", "$${"))
		if err != nil || refers || got != text {
			t.Fatalf("expand gives %q, %v, %v for an escaped %q", got, refers, err, text)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "text: a\n", "tags: [a, group:b]\npart: {name: x, first: 1}\n", "blocks:\n  - kind: a\n    x: ${env:PORT}\n",
		"a: &b c\nd: *b\n", "a: |\n  x\n  y\n", "? a\n: b\n", "a: 1\n---\nb: 2\n", "{a: [b:c, d:*]}", "wait: 1d\nsize: 1KiB\n",
		"%YAML 1.2\n---\na: b\n", "a: !!binary x", "- - - a", "\ufeffa: b\r\n", "text: '${file:/pw}$${'", "a: \"\\u00e9\\x\"", "<<: {a: b}", "a: >+2\n  x\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := Parse("f.yaml", []byte(text), lookup())
		checkFaults(t, text, err)
		var s sample
		warnings, err := doc.Decode(&s)
		checkFaults(t, text, err)
		if len(warnings) > 0 {
			checkFaults(t, text, Errors(warnings))
		}
		for _, b := range s.Blocks {
			if b.Rest.doc != nil { // else the item was at fault
				_, err := b.Rest.Decode(&inner{})
				checkFaults(t, text, err)
			}
		}
	})
}

// checkFaults wants every fault to have a place within the text, and one line
// to say what it is.
func checkFaults(t *testing.T, text string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	all, ok := err.(Errors) //nolint:errorlint // exactly this type is promised
	if !ok || len(all) == 0 {
		t.Fatalf("%T: %v", err, err)
	}
	lines := strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")
	for _, e := range all {
		if e.Line < 1 || e.Column < 1 || e.Line > len(lines)+1 || e.Detail == "" {
			t.Fatalf("the place is outside the text: %#v\n%q", e, text)
		}
		if !utf8.ValidString(e.Error()) {
			t.Fatalf("the error is no UTF-8: %q", e.Error())
		}
	}
}
