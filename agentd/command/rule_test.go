package command

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/agentd/agent"
)

func pattern(t testing.TB, text string) Pattern {
	t.Helper()
	p, err := NewPattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBind(t *testing.T) {
	t.Parallel()
	deploy := &Spec{Name: "deploy", Args: []Arg{
		{Name: "version", Rule: pattern(t, `v\d+|latest`)},
		{Name: "where", Rule: Enum{"staging", "live"}, Optional: true},
		{Name: "hosts", Rule: pattern(t, `[a-z.-]+`), Optional: true, Rest: true},
	}}
	scale := &Spec{Name: "scale", Args: []Arg{{Name: "count", Rule: Int{1, 20}}}}
	shift := &Spec{Name: "shift", Args: []Arg{{Name: "by", Rule: Int{-5, 5}, AllowDash: true}}}
	for _, tc := range []struct {
		spec  *Spec
		words string
		want  string
		err   string
	}{
		{deploy, "v12", "map[version:[v12]]", ""},
		{deploy, "latest live", "map[version:[latest] where:[live]]", ""},
		{deploy, "v1 live a.b c", "map[hosts:[a.b c] version:[v1] where:[live]]", ""},
		{deploy, "", "", "version is missing; it must match v\\d+|latest\nUsage: deploy VERSION [WHERE] [HOSTS...]"},
		{deploy, "v12x", "", `version must match v\d+|latest, and "v12x" does not`},
		{deploy, "xlatest", "", `version must match`}, // the anchors hold the whole alternation
		{deploy, "v12 Live", "", `where must be one of staging, live, and "Live" does not`},
		{deploy, "v1 live -rf", "", `hosts must not begin with a dash: "-rf"`},
		{deploy, "v1 live ok -x", "", `hosts must not begin with a dash: "-x"`},
		{scale, "007", "map[count:[7]]", ""},
		{scale, "+3", "map[count:[3]]", ""},
		{scale, "21", "", `count must be a whole number from 1 to 20, and "21" does not`},
		{scale, "99999999999999999999", "", "count must be a whole number"},
		{scale, "1 2", "", "There are too many words, from \"2\" on.\nUsage: scale COUNT"},
		{scale, "-3", "", "count must not begin with a dash"},
		{shift, "-3", "map[by:[-3]]", ""},
		{scale, strings.Repeat("é", 100), "", `…`},
	} {
		v, err := tc.spec.bind(strings.Fields(tc.words))
		if tc.err == "" {
			if got := fmt.Sprint(map[string][]string(v)); err != nil || got != tc.want {
				t.Errorf("%s %s: %s, %v, want %s", tc.spec.Name, tc.words, got, err, tc.want)
			}
			continue
		}
		var ae *ArgError
		if !errors.As(err, &ae) || !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s %s: error %v, want %q", tc.spec.Name, tc.words, err, tc.err)
		}
	}
}

// TestPatternsAreAnchored is about newlines above all: $ would let one pass.
func TestPatternsAreAnchored(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`v\d+`, `(?m)^v\d+$`, `^v\d+$`, `v1|v2`, `(?i)V1`} {
		p := pattern(t, text)
		if _, ok := p.Check("v1"); !ok {
			t.Errorf("%s does not match v1", text)
		}
		for _, bad := range []string{"v1\n", "\nv1", "v1\nrm", "v1 ", "xv1", ""} {
			if _, ok := p.Check(bad); ok {
				t.Errorf("%s matches %q", text, bad)
			}
		}
	}
	if _, err := NewPattern(`\Qv1.2`); err == nil || !strings.Contains(err.Error(), `\E`) {
		t.Errorf("an open quotation: %v", err)
	}
	if _, err := NewPattern(`v(`); err == nil || !strings.Contains(err.Error(), "missing closing )") {
		t.Errorf("got %v", err)
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	names := []string{"version", "hosts", "note"}
	v := Values{"version": {"v1"}, "hosts": {"a", "b c"}}
	for text, want := range map[string][]string{
		"plain":                 {"plain"},
		"":                      {""},
		"{version}":             {"v1"},
		"--version={version}":   {"--version=v1"},
		"{hosts}":               {"a", "b c"},
		"x{hosts}":              {"xa b c"},
		"{version}{version}":    {"v1v1"},
		"{note}":                nil,
		"--note={note}":         nil,
		"{{version}} {{{{ }}}}": {"{version} {{ }}"},
		"{{{version}}}":         {"{v1}"},
	} {
		tmpl, err := NewTemplate(text, names)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := tmpl.expand(v); !slices.Equal(got, want) {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"{verzion}":       "not in args",
		"{print $1}":      "write {{",
		"{version":        "write {{",
		"a } b":           "write }}",
		"{}":              "write {{",
		"{version} and }": "write }}",
	} {
		if _, err := NewTemplate(text, names); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// FuzzMessage feeds strangers' messages to a command: whatever reaches the
// program has passed its rule, in one element of the argument list.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{"v1.2.3", "v1.2.3 live", `"v1.2.3" 'live'`, "v1.2.3\nlive", "-v", "v1.2.3 live x", "“v1.2.3”"} {
		f.Add(s)
	}
	version := regexp.MustCompile(`\Av[0-9.]+\z`)
	spec := &Spec{Name: "deploy", Args: []Arg{
		{Name: "version", Rule: pattern(f, `v[0-9.]+`)},
		{Name: "where", Rule: Enum{"staging", "live"}, Optional: true},
	}}
	for _, text := range []string{"/usr/local/bin/deploy", "--to={where}", "{version}"} {
		tmpl, err := NewTemplate(text, []string{"version", "where"})
		if err != nil {
			f.Fatal(err)
		}
		spec.Argv = append(spec.Argv, tmpl)
	}
	f.Fuzz(func(t *testing.T, message string) {
		words, err := agent.Words(message)
		if err != nil {
			return
		}
		values, err := spec.bind(words)
		if err != nil {
			return
		}
		var argv []string
		for _, tmpl := range spec.Argv {
			argv = append(argv, tmpl.expand(values)...)
		}
		if len(argv) < 2 || len(argv) > 3 || argv[0] != "/usr/local/bin/deploy" || !version.MatchString(argv[len(argv)-1]) {
			t.Fatalf("%q became %q", message, argv)
		}
		if len(argv) == 3 && argv[1] != "--to=live" && argv[1] != "--to=staging" {
			t.Fatalf("%q became %q", message, argv)
		}
	})
}
