package strictyaml

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/letserverrun/skadi/core/chat"
)

// sample has a field of every type that can be read.
type sample struct {
	Text     string            `yaml:"text"`
	Mode     string            `yaml:"mode" jsonschema:"enum=socket,enum=http"`
	Secret   chat.Secret       `yaml:"secret"`
	Flag     bool              `yaml:"flag"`
	Count    int               `yaml:"count" min:"1" max:"10"`
	Small    int8              `yaml:"small"`
	Share    float64           `yaml:"share"`
	Wait     time.Duration     `yaml:"wait" min:"1s" max:"1d"`
	Size     Size              `yaml:"size" min:"1KiB"`
	Networks []netip.Prefix    `yaml:"networks"`
	Tags     []string          `yaml:"tags" jsonschema:"minItems=1"`
	Labels   map[string]string `yaml:"labels"`
	Part     part              `yaml:"part"`
	Maybe    *part             `yaml:"maybe"`
	Parts    []part            `yaml:"parts"`
	Blocks   []block           `yaml:"blocks"`

	Untagged string
}

type part struct {
	Name  string `yaml:"name" jsonschema:"required"`
	First int    `yaml:"first"`
	Last  int    `yaml:"last"`
}

func (p *part) Validate() error {
	var errs []error
	if p.First > p.Last {
		errs = append(errs, Invalid("last", "must not be before first (%d)", p.First))
	}
	if p.Name == "bad" {
		errs = append(errs, errors.New("is bad as a whole"))
	}
	return errors.Join(errs...)
}

// block is decoded in two steps.
type block struct {
	Kind string  `yaml:"kind" jsonschema:"required"`
	Rest Section `yaml:",rest"`
}

type inner struct {
	Token chat.Secret `yaml:"token" jsonschema:"required"`
	Port  int         `yaml:"port"`
}

func lookup() Lookup {
	return Lookup{
		Env: func(name string) (string, bool) {
			v, ok := map[string]string{
				"PORT": "7", "TOKEN": "s3cret", "EMPTY": "", "MODE": "s3cret", "BAD": "a\xffb", "YES": "true",
			}[name]
			return v, ok
		},
		File: func(path string) ([]byte, error) {
			content, ok := map[string]string{"/pw": "hunter2\n", "/two": "x\n\n", "/dos": "x\r\n", "/none": "\n"}[path]
			if !ok {
				return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
			}
			return []byte(content), nil
		},
	}
}

// read parses and decodes, and returns every fault and warning.
func read(t *testing.T, text string, into any) (faults, warned string) {
	t.Helper()
	doc, parseErr := Parse("f.yaml", []byte(text), lookup())
	warnings, err := doc.Decode(into)
	var lines []string
	for _, err := range []error{parseErr, err} {
		if err != nil {
			lines = append(lines, err.Error())
		}
	}
	var warn []string
	for _, w := range warnings {
		warn = append(warn, w.Error())
	}
	return strings.Join(lines, "\n"), strings.Join(warn, "\n")
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		want       sample
	}{
		{"empty", "", sample{}},
		{"comments alone", "# nothing\n\n# here\n", sample{}},
		{"a marker alone", "---\n", sample{}},
		{"text", "text: two words", sample{Text: "two words"}},
		{"quoted", `text: "a\tb: #c"`, sample{Text: "a\tb: #c"}},
		{"single quotes", `text: 'it''s'`, sample{Text: "it's"}},
		{"block", "text: |\n  one\n  two\n", sample{Text: "one\ntwo\n"}},
		{"folded", "text: >-\n  one\n  two\n", sample{Text: "one two"}},
		{"windows line ends", "text: a\r\ncount: 2\r\n", sample{Text: "a", Count: 2}},
		{"byte order mark", "\ufefftext: a\n", sample{Text: "a"}},
		{"numbers", "count: 10\nsmall: -5\nshare: 0.5\n", sample{Count: 10, Small: -5, Share: 0.5}},
		{"whole share", "share: 1", sample{Share: 1}},
		{"flag", "flag: true", sample{Flag: true}},
		{"durations", "wait: 1h30m", sample{Wait: 90 * time.Minute}},
		{"days", "wait: 1d", sample{Wait: 24 * time.Hour}},
		{"size", "size: 64KiB", sample{Size: 64 << 10}},
		{"size in bytes", "size: 2048", sample{Size: 2048}},
		{"networks", "networks: [10.0.0.0/8, 192.168.1.7, '::1']", sample{Networks: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.1.7/32"), netip.MustParsePrefix("::1/128"),
		}}},
		{"list", "tags:\n  - a\n  - b\n", sample{Tags: []string{"a", "b"}}},
		{"list not indented", "tags:\n- a\n", sample{Tags: []string{"a"}}},
		{"labels", "labels: {a: b, c: d}", sample{Labels: map[string]string{"a": "b", "c": "d"}}},
		{"section left empty", "part:\ntext: a", sample{Text: "a"}},
		{"lists left empty", "labels:\nparts:\nmaybe:\n", sample{Parts: []part{}}},
		{"maybe", "maybe: {name: x}", sample{Maybe: &part{Name: "x"}}},
		{"parts", "parts:\n  - name: a\n    last: 2\n  - {name: b}\n", sample{Parts: []part{{Name: "a", Last: 2}, {Name: "b"}}}},
		{"references", "text: a ${env:PORT} b ${file:/pw} $$ $${env:PORT} $x $", sample{Text: "a 7 b hunter2 $$ ${env:PORT} $x $"}},
		{"a file loses one line break", "text: '${file:/two}${file:/dos}'", sample{Text: "x\nx"}},
		{"references to other types", "count: ${env:PORT}\nflag: ${env:YES}\n", sample{Count: 7, Flag: true}},
		{"secret by reference", "secret: ${env:TOKEN}", sample{Secret: "s3cret"}},
		{"colons within braces", "labels: {a: group:ops}\nparts: []\nmaybe: {name: x:y}\n", sample{
			Labels: map[string]string{"a": "group:ops"}, Parts: []part{}, Maybe: &part{Name: "x:y"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var got sample
			faults, warned := read(t, tc.text, &got)
			if faults != "" || warned != "" {
				t.Fatalf("faults: %s\nwarnings: %s", faults, warned)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateComparable(netip.Prefix{}), cmp.AllowUnexported(block{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key", "tetx: a", `f.yaml:1:1: unknown key "tetx", did you mean "text"?`},
		{"unknown and unlike", "part: {name: a, zzzzzz: 1}", `f.yaml:1:17: part: unknown key "zzzzzz"; the keys here are name, first, last`},
		{"a field without tag", "Untagged: a", `f.yaml:1:1: unknown key "Untagged"; the keys here are`},
		{"key twice", "text: a\nflag: true\ntext: b", `f.yaml:3:1: key "text" is here twice; the first is in line 1`},
		{"key twice in braces", "part: {name: a, name: b}", `f.yaml:1:17: part: key "name" is here twice; the first is in line 1`},
		{"number for text", "text: 8080", `f.yaml:1:7: text: must be text; write "8080" with quotes`},
		{"flag for text", "text: true", `f.yaml:1:7: text: must be text; write "true" with quotes`},
		{"nothing for text", "text:", `f.yaml:1:1: text: has no value; give it one or leave the key out`},
		{"list for text", "text: [a]", `f.yaml:1:7: text: must be text, not a list`},
		{"mapping for text", "text:\n  a: b", `f.yaml:1:1: text: must be text, not a mapping`},
		{"text for a flag", "flag: yes", `f.yaml:1:7: flag: must be true or false, not "yes"`},
		{"quoted flag", `flag: "true"`, `f.yaml:1:7: flag: must be true or false, not "true"`},
		{"text for a number", "count: many", `f.yaml:1:8: count: must be a whole number, not "many"`},
		{"fraction for a number", "count: 1.5", `f.yaml:1:8: count: must be a whole number, not "1.5"`},
		{"number too small", "count: 0", `f.yaml:1:8: count: must be at least 1`},
		{"number too large", "count: 11", `f.yaml:1:8: count: must be at most 10`},
		{"number overflows", "small: 200", `f.yaml:1:8: small: must be a whole number, not "200"`},
		{"text for a share", "share: half", `f.yaml:1:8: share: must be a number, not "half"`},
		{"duration without unit", "wait: 30", `f.yaml:1:7: wait: must be a duration such as 30s, 10m or 90d, not "30"`},
		{"duration in words", "wait: a day", `f.yaml:1:7: wait: "a day" is no duration; write one such as 30s, 10m, 1h30m or 90d`},
		{"negative duration", "wait: -5s", `f.yaml:1:7: wait: "-5s" is no duration`},
		{"duration too short", "wait: 10ms", `f.yaml:1:7: wait: must be at least 1s`},
		{"duration too long", "wait: 25h", `f.yaml:1:7: wait: must be at most 1d`},
		{"size", "size: 64kb", `f.yaml:1:7: size: "64kb" is no size; write one such as 64KiB, 1MiB or a number of bytes`},
		{"size too small", "size: 1B", `f.yaml:1:7: size: must be at least 1KiB`},
		{"size as a list", "size: [1]", `f.yaml:1:7: size: must be a size such as 64KiB, not a list`},
		{"network", "networks: [10.0.0.0/8, proxy]", `f.yaml:1:24: networks[1]: must be an address or network such as 10.0.0.7 or 10.0.0.0/8, not "proxy"`},
		{"network with a host", "networks: [10.1.2.3/8]", `f.yaml:1:12: networks[0]: "10.1.2.3/8" has bits beyond its length; the network is 10.0.0.0/8`},
		{"enum", "mode: sockt", `f.yaml:1:7: mode: "sockt" is not one of socket, http; did you mean "socket"?`},
		{"enum by reference", "mode: ${env:MODE}", `f.yaml:1:7: mode: what ${env:MODE} stands for is not one of socket, http`},
		{"number by reference", "count: ${env:TOKEN}", `f.yaml:1:8: count: must be a whole number, not what ${env:TOKEN} stands for`},
		{"size by reference", "size: ${env:TOKEN}", `f.yaml:1:7: size: what ${env:TOKEN} stands for is not right here`},
		{"wait by reference", "wait: ${env:TOKEN}", `f.yaml:1:7: wait: what ${env:TOKEN} stands for is no duration`},
		{"network by reference", "networks: ['${env:TOKEN}']", `f.yaml:1:12: networks[0]: must be an address or network such as 10.0.0.7 or 10.0.0.0/8, not what ${env:TOKEN} stands for`},
		{"secret as a number", "secret: 12345678", `f.yaml:1:9: secret: must be text; put quotes around it`},
		{"text for a list", "tags: a", `f.yaml:1:7: tags: must be a list ([a, b]), not text`},
		{"empty list", "tags: []", `f.yaml:1:7: tags: must not be empty`},
		{"list without items", "tags:", `f.yaml:1:1: tags: must not be empty`},
		{"empty item", "parts:\n  -\n", `f.yaml:2:5: parts[0]: has no value`},
		{"flag as a size", "size: true", `f.yaml:1:7: size: must be a size such as 64KiB, not true or false`},
		{"item that is none", "tags: [a: b]", `f.yaml:1:8: tags[0]: must be text, not a mapping`},
		{"list for a mapping", "labels: [a]", `f.yaml:1:9: labels: must be a mapping (key: value), not a list`},
		{"text for a section", "part: x", `f.yaml:1:7: part: must be a mapping (key: value), not text`},
		{"text for everything", "just text", `f.yaml:1:1: must be a mapping (key: value), not text`},
		{"list for everything", "- a", `f.yaml:1:1: must be a mapping (key: value), not a list`},
		{"missing key", "parts:\n  - first: 1\n    last: 2", `f.yaml:2:5: parts[0]: key "name" is missing`},
		{"missing key in braces", "part: {first: 1, last: 1}", `f.yaml:1:7: part: key "name" is missing`},
		{"check of a field", "part:\n  name: a\n  first: 3\n  last: 2", `f.yaml:4:9: part.last: must not be before first (3)`},
		{"check of an absent field", "parts: [{name: a, first: 3}]", `f.yaml:1:9: parts[0].last: must not be before first (3)`},
		{"check of the whole", "part:\n  name: bad", `f.yaml:1:1: part: is bad as a whole`},
		{"not set", "text: x${env:NOPE}", `f.yaml:1:7: text: the environment variable NOPE is not set`},
		{"empty variable", "secret: ${env:EMPTY}", `f.yaml:1:9: secret: the environment variable EMPTY is empty`},
		{"no file", "secret: ${file:/nope}", `f.yaml:1:9: secret: the secret cannot be read: open /nope: file does not exist`},
		{"empty file", "secret: ${file:/none}", `f.yaml:1:9: secret: the file "/none" is empty`},
		{"no UTF-8 by reference", "text: ${env:BAD}", `f.yaml:1:7: text: what ${env:BAD} stands for is no UTF-8 text`},
		{"other reference", "text: ${PORT}", `f.yaml:1:7: text: "${PORT}" is no reference; write ${env:NAME} or ${file:PATH}, or $${ for ${ itself`},
		{"part of a secret", "text: hunter${2x}", "f.yaml:1:7: text: what begins with ${ here is no reference"},
		{"bad name", "text: ${env:A-B}", `f.yaml:1:7: text: "${env:A-B}" is no reference`},
		{"open reference", "text: ${env:PORT", `f.yaml:1:7: text: a reference begins with ${ and has no }`},
		{"reference under an unknown key", "blocks: [{kind: a, x: '${env:NOPE}'}]", `f.yaml:1:23: blocks[0].x: the environment variable NOPE is not set`},
		{"anchor", "text: &a b", `f.yaml:1:7: text: anchors and aliases`},
		{"alias", "labels: {a: *b}", `f.yaml:1:13: labels.a: anchors and aliases`},
		{"merge", "labels:\n  <<: {name: a}", `f.yaml:2:3: labels: a key must be plain text`},
		{"tag", "text: !!str 5", `f.yaml:1:7: text: tags (!name) are not used`},
		{"number as key", "labels: {1: a}", `f.yaml:1:10: labels: a key must be plain text; put quotes around it`},
		{"second document", "text: a\n---\ntext: b", `f.yaml:3:1: a second document begins here`},
		{"broken quotes", "text: \"a\nsecret: x", `f.yaml:1:7: not valid YAML: could not find end character of double-quoted text`},
		{"tab", "part:\n\tname: a", `f.yaml:2:1: not valid YAML: found character '	' that cannot start any token`},
		{"indentation", "part:\n  name: a\n first: 1", `f.yaml:3:2: not valid YAML:`},
		{"unclosed bracket", "tags: [a", `f.yaml:1:7: not valid YAML: sequence end token ']' not found`},
		{"control character", "text: a\x00b", `f.yaml:1:8: the control character U+0000 does not belong in a config`},
		{"escape character", "text: a\nmode: \x1b[0m", `f.yaml:2:7: the control character U+001B does not belong in a config`},
		{"not UTF-8", "text: é\xff", `f.yaml:1:8: this byte is no UTF-8; save the file as UTF-8`},
		{"deep brackets", "tags: " + strings.Repeat("[", 200), `f.yaml:1:107: brackets are nested more than 100 deep`},
		{"large", "text: " + strings.Repeat("a", MaxBytes), `f.yaml:1:1: the file is larger than 1024 KiB`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, _ := read(t, tc.text, &sample{})
			if !strings.HasPrefix(got, tc.want) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if n := strings.Count(got, "\n"); n != 0 {
				t.Errorf("%d faults more than one:\n%s", n, got)
			}
			for _, secret := range []string{"s3cret", "hunter2", "12345678"} {
				if strings.Contains(got, secret) {
					t.Errorf("the error shows a secret: %s", got)
				}
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	got, warned := read(t, `
tetx: a
count: x
secret: literal
mode: ${env:NOPE}
parts:
  - {name: a, frist: 1}
  - {last: 5}
text: b
text: c
`, &sample{})
	want := `f.yaml:5:7: mode: the environment variable NOPE is not set
f.yaml:10:1: key "text" is here twice; the first is in line 9
f.yaml:2:1: unknown key "tetx", did you mean "text"?
f.yaml:3:8: count: must be a whole number, not "x"
f.yaml:7:15: parts[0]: unknown key "frist", did you mean "first"?
f.yaml:8:5: parts[1]: key "name" is missing`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := "f.yaml:4:9: secret: a secret stands in the file as it is; keep it outside and write ${env:NAME} or ${file:PATH}"; warned != want {
		t.Errorf("warnings: %s", warned)
	}
}

// TestSection proves that what is decoded later is read as strictly: goccy's
// own raw nodes and delayed decoding lose unknown keys and positions.
func TestSection(t *testing.T) {
	t.Parallel()
	var s sample
	text := `
blocks:
  - kind: chat
    token: ${env:TOKEN}
    port: 7
  - kind: chat
    tokn: literal
    prot: 7
  - {kind: chat, token: literal, port: many, port: 8}
  - kind: chat
`
	faults, warned := read(t, text, &s)
	if want := `f.yaml:9:46: blocks[2]: key "port" is here twice; the first is in line 9`; faults != want || warned != "" {
		t.Errorf("faults: %s\nwarnings: %s", faults, warned)
	}
	for i, want := range []string{
		"",
		`f.yaml:6:5: blocks[1]: key "token" is missing
f.yaml:7:5: blocks[1]: unknown key "tokn", did you mean "token"?
f.yaml:8:5: blocks[1]: unknown key "prot", did you mean "port"?`,
		`f.yaml:9:40: blocks[2].port: must be a whole number, not "many"`,
		`f.yaml:10:5: blocks[3]: key "token" is missing`,
	} {
		in := inner{Port: 1}
		warnings, err := s.Blocks[i].Rest.Decode(&in)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("block %d (-want +got):\n%s", i, diff)
		}
		if i == 0 && in != (inner{Token: "s3cret", Port: 7}) {
			t.Errorf("decoded %#v", in)
		}
		if (i == 2) != (len(warnings) == 1) {
			t.Errorf("block %d: warnings %v", i, warnings)
		}
	}
	err := s.Blocks[1].Rest.Errorf("kind", "there is none")
	if got, want := err.Error(), "f.yaml:6:11: blocks[1].kind: there is none"; got != want {
		t.Errorf("Errorf = %s", got)
	}
	if got, want := s.Blocks[1].Rest.Errorf("", "no").Error(), "f.yaml:6:5: blocks[1]: no"; got != want {
		t.Errorf("Errorf = %s", got)
	}
}

// TestPlaceKeepsQuietOfWhatIsKnown holds that a value which could not be read is
// not called empty as well.
func TestPlaceKeepsQuietOfWhatIsKnown(t *testing.T) {
	t.Parallel()
	doc, err := Parse("f.yaml", []byte("blocks:\n  - {kind: chat, token: '${env:NONE}', port: 1}\n"), Lookup{Env: func(string) (string, bool) { return "", false }})
	if err == nil {
		t.Fatal("a secret was found")
	}
	var s sample
	if _, err := doc.Decode(&s); err != nil {
		t.Fatal(err)
	}
	rest := s.Blocks[0].Rest
	for _, known := range []error{nil, Invalid("token", "is empty"), Invalid("", "has no token")} {
		if err := rest.Place(known); err != nil {
			t.Errorf("%v became %v", known, err)
		}
	}
	placed := rest.Errorf("port", "is too low")
	for _, fresh := range []error{Invalid("port", "is too low"), placed, errors.Join(Invalid("token", "is empty"), placed)} {
		if err := rest.Place(fresh); err == nil || err.Error() != "f.yaml:2:46: blocks[0].port: is too low" {
			t.Errorf("%v became %v", fresh, err)
		}
	}
}

func TestSectionWithoutFile(t *testing.T) {
	t.Parallel()
	var s Section
	if _, err := s.Decode(&inner{}); err == nil {
		t.Error("a section of no file was decoded")
	}
	if err := s.Errorf("x", "no"); err.Path != "x" {
		t.Errorf("Errorf = %v", err)
	}
}

func TestDefaultsStay(t *testing.T) {
	t.Parallel()
	s := sample{Text: "before", Tags: []string{"x", "y"}, Part: part{Name: "p", First: 1, Last: 2}}
	faults, _ := read(t, "tags: [z]\npart: {name: p, last: 9}", &s)
	want := sample{Text: "before", Tags: []string{"z"}, Part: part{Name: "p", First: 1, Last: 9}}
	if diff := cmp.Diff(want, s, cmpopts.IgnoreTypes(netip.Prefix{})); diff != "" || faults != "" {
		t.Errorf("%s (-want +got):\n%s", faults, diff)
	}
}

func TestDecodeIntoTheWrongThing(t *testing.T) {
	t.Parallel()
	doc, err := Parse("f.yaml", []byte("a: b"), Lookup{})
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, into := range []any{nil, sample{}, &text, (*sample)(nil)} {
		if _, err := doc.Decode(into); err == nil {
			t.Errorf("decoding into %T was accepted", into)
		}
	}
	var odd struct {
		A chan int `yaml:"a"`
	}
	if _, err := doc.Decode(&odd); err == nil || !strings.Contains(err.Error(), "cannot be read from a config") {
		t.Errorf("a channel: %v", err)
	}
}

func TestDeepLists(t *testing.T) {
	t.Parallel()
	got, _ := read(t, "tags:\n"+strings.Repeat("- ", 200)+"x", &sample{})
	if !strings.Contains(got, ": values are nested more than 100 deep") {
		t.Error(got)
	}
}

func TestErrorsUnwrap(t *testing.T) {
	t.Parallel()
	doc, err := Parse("f.yaml", []byte("a: 1\na: 2"), Lookup{})
	var one *Error
	if !errors.As(err, &one) || one.Line != 2 || one.Column != 1 || one.File != "f.yaml" {
		t.Errorf("errors.As found %+v in %v", one, err)
	}
	if !doc.Has("a") || doc.Has("b") || doc.Has("a.b") || doc.Has("a[0]") {
		t.Error("Has is wrong about a")
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "90d": 90 * day, "1d12h": 36 * time.Hour, "2160h": 90 * day, "1.5h": 90 * time.Minute,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v", text, got, err)
		}
		if back, err := ParseDuration(FormatDuration(got)); err != nil || back != want {
			t.Errorf("FormatDuration(%v) = %q, which is %v, %v", got, FormatDuration(got), back, err)
		}
	}
	for _, text := range []string{"", "d", "1", "-1s", "+1s", "1.5d", "1d-2h", "1d+2h", "-1d", "1d2d", "200000d", "106751d24h", "1w", " 1s"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", time.Minute: "1m", time.Hour: "1h", 90 * day: "90d", 36 * time.Hour: "1d12h", 10 * time.Millisecond: "10ms", 90 * time.Second: "1m30s"} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{"0": 0, "1": 1, "1B": 1, "64KiB": 64 << 10, "1MiB": 1 << 20, "2GiB": 2 << 30} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q = %v, %v", text, got, err)
		}
		var back Size
		if err := back.UnmarshalText([]byte(want.String())); err != nil || back != want {
			t.Errorf("%v is written %q and read %v, %v", int64(want), want, int64(back), err)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "+1", "1.5MiB", "1 KiB", "64k", "1KB", "99999999999GiB", "1KiBB"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q = %v", text, s)
		}
	}
}
