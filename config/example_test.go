package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/letserverrun/skadi/adapters"
	"github.com/letserverrun/skadi/config/strictyaml"
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
)

const examplePath = "../skadi.yaml.example"

// anything answers every reference, with something of the form that its name
// promises.
func anything() Lookup {
	return Lookup{
		Env: func(name string) (string, bool) {
			switch {
			case strings.HasSuffix(name, "_APP_TOKEN"):
				return "xapp-1-A0123-value", true
			case strings.HasSuffix(name, "_BOT_TOKEN"):
				return "xoxb-value", true
			case strings.HasSuffix(name, "_CALLBACK_SECRET"):
				return "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", true
			case strings.HasSuffix(name, "_AES_KEY"):
				return "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", true
			case strings.HasSuffix(name, "_WEBHOOK"):
				return "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=value", true
			}
			return "some-value", true
		},
		File: func(string) ([]byte, error) { return []byte("skadi:value@tcp(db:3306)/skadi"), nil },
	}
}

func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// alternative is a key that is commented out: # and the key, or # and the
// indentation below such a key. Prose has one space after its #.
var alternative = regexp.MustCompile(`^( *)#((?: {2,})?(?:[a-z_]+:|- ).*)$`)

// alternatives returns the example with the keys that are commented out in
// place of those that are not, paragraph by paragraph.
func alternatives(text string) string {
	var doc []string
	for _, paragraph := range strings.Split(text, "\n\n") {
		var live, other []string
		for _, line := range strings.Split(paragraph, "\n") {
			switch m := alternative.FindStringSubmatch(line); {
			case m != nil:
				other = append(other, m[1]+m[2])
			case !strings.HasPrefix(strings.TrimSpace(line), "#"):
				live = append(live, line)
			}
		}
		switch {
		case len(other) == 0:
			other = live
		case strings.HasPrefix(other[0], " "):
			other = append(live[:1], other...)
		}
		doc = append(doc, strings.Join(other, "\n"))
	}
	return strings.Join(doc, "\n")
}

func TestExampleIsTheDefault(t *testing.T) {
	t.Parallel()
	c, err := Parse(examplePath, []byte(example(t)), Lookup{})
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %v", w)
	}
	if _, err := access.New(c.Access); err != nil {
		t.Error(err)
	}
	// What the example says of defaults is true.
	want := Default()
	want.Access = c.Access
	if diff := cmp.Diff(want, c, cmpopts.IgnoreUnexported(Config{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the example differs from the defaults (-default +example):\n%s", diff)
	}
}

func TestExampleLoads(t *testing.T) {
	t.Parallel()
	c, err := Load(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	if c.Store.Path != "../skadi.db" {
		t.Errorf("a relative path begins at the file's folder; got %q", c.Store.Path)
	}
}

func TestExampleAlternativesLoad(t *testing.T) {
	t.Parallel()
	text := alternatives(example(t))
	c, err := Parse("alternatives", []byte(text), anything())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %v", w)
	}
	if c.Store.Driver != MySQL || c.Store.DSN == "" || c.Queue.Driver != Redis || len(c.Adapters) != 11 || len(c.Access.Rules) != 5 {
		t.Errorf("%+v", c)
	}
}

// TestExampleHasEveryKey also proves that it has none too many, since Parse
// refuses unknown ones.
func TestExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	var docs []*strictyaml.Document
	for _, text := range []string{example(t), alternatives(example(t))} {
		doc, err := strictyaml.Parse("example", []byte(text), anything())
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	for _, key := range keysOf(reflect.TypeFor[Config](), "") {
		found := false
		for _, doc := range docs {
			found = found || has(doc, key)
		}
		if !found {
			t.Errorf("skadi.yaml.example lacks the key %s", key)
		}
	}
}

// TestExampleOfAdapters makes the accounts of the example. Between them they
// have every key of their kinds.
func TestExampleOfAdapters(t *testing.T) {
	t.Parallel()
	text := alternatives(example(t))
	c, err := Parse("alternatives", []byte(text), anything())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := strictyaml.Parse("alternatives", []byte(text), anything())
	if err != nil {
		t.Fatal(err)
	}
	shown, all := map[string]bool{}, map[string]bool{}
	for i, a := range c.Adapters {
		factory, ok := adapters.Factories()[a.Kind]
		if !ok {
			t.Errorf("there is no kind %s", a.Kind)
			continue
		}
		decode := func(into any) error {
			for _, f := range strictyaml.Fields(reflect.TypeOf(into).Elem()) {
				if !strings.HasSuffix(f.Doc, ".") && !strings.HasSuffix(f.Doc, "…") {
					t.Errorf("the key %s of %s has no description that ends with a period: %q", f.Name, a.Kind, f.Doc)
				}
				key := a.Kind + ": " + f.Name
				all[key] = true
				shown[key] = shown[key] || doc.Has(fmt.Sprintf("adapters[%d].%s", i, f.Name))
			}
			return a.Decode(into)
		}
		if _, err := factory(decode, chat.Env{Account: a.Name}); err != nil {
			t.Error(a.Place(err))
		}
	}
	for key := range all {
		if !shown[key] {
			t.Errorf("skadi.yaml.example lacks the key of %s", key)
		}
	}
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %v", w)
	}
}

// keysOf lists the keys of a struct as paths, with [] for the items of a list.
func keysOf(t reflect.Type, at string) []string {
	var keys []string
	for _, f := range strictyaml.Fields(t) {
		if f.Rest {
			continue
		}
		path := at + f.Name
		keys = append(keys, path)
		switch ft := t.Field(f.Index).Type; {
		case scalarSchema(ft) != nil:
		case ft.Kind() == reflect.Struct:
			keys = append(keys, keysOf(ft, path+".")...)
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct && scalarSchema(ft.Elem()) == nil:
			keys = append(keys, keysOf(ft.Elem(), path+"[].")...)
		}
	}
	return keys
}

func has(doc *strictyaml.Document, key string) bool {
	if !strings.Contains(key, "[]") {
		return doc.Has(key)
	}
	for i := range 10 {
		if doc.Has(strings.Replace(key, "[]", fmt.Sprintf("[%d]", i), 1)) {
			return true
		}
	}
	return false
}

func TestEveryKeyIsDescribed(t *testing.T) {
	t.Parallel()
	var check func(reflect.Type, string)
	check = func(rt reflect.Type, at string) {
		for _, f := range strictyaml.Fields(rt) {
			if f.Rest {
				continue
			}
			if !strings.HasSuffix(f.Doc, ".") {
				t.Errorf("%s%s has no description that ends with a period: %q", at, f.Name, f.Doc)
			}
			ft := rt.Field(f.Index).Type
			if ft.Kind() == reflect.Slice {
				ft = ft.Elem()
			}
			if ft.Kind() == reflect.Struct && scalarSchema(ft) == nil {
				check(ft, at+f.Name+".")
			}
		}
	}
	check(reflect.TypeFor[Config](), "")
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	if _, err := Load(t.TempDir() + "/none.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load = %v", err)
	}
}
