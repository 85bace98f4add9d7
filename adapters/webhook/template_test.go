package webhook

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

// payload reads JSON as a call's body is read.
func payload(t testing.TB, text string) map[string]any {
	t.Helper()
	e, err := readEvent(Config{Provider: Standard}, nil, "a", []byte(text))
	require.NoError(t, err)
	return e.payload
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	p := payload(t, `{
		"ref": "refs/heads/main", "sha": "acb5820ced9479c074f688cc328bf03f341a511d", "title": "two words", "empty": "", "null": null,
		"run": {"id": 19780416533, "attempt": 1, "ok": true, "part": 0.25, "huge": 123456789012345678901234567890, "null": null},
		"labels": ["a", "b"], "said": "\"so", "quoted": "a \"b\" c", "both": "a \"b\" 'c' d", "dash": "-rf", "user": {"login": "ada"}
	}`)
	for send, want := range map[string]string{
		"web-1 deploy {{.sha}}":                             "web-1 deploy acb5820ced9479c074f688cc328bf03f341a511d",
		"web-1 deploy {{short .sha}}":                       "web-1 deploy acb5820ced94",
		`deploy {{.ref | trimPrefix "refs/heads/"}}`:        "deploy main",
		"run {{.run.id}} {{.run.attempt}} {{.run.ok}}":      "run 19780416533 1 true",
		"run {{.run.part}} {{.run.huge}}":                   "run 0.25 123456789012345678901234567890",
		"{{if eq .run.attempt 1}}first{{else}}again{{end}}": "first",
		"{{range .labels}} label {{.}}{{end}}":              "label a label b",
		"{{with .user}}by {{.login}}{{end}}":                "by ada",
		"{{$who := .user.login}}by {{upper $who}}":          "by ADA",
		"note {{quote .title}}":                             `note "two words"`,
		"note {{.title | words}}":                           "note two words",
		"note {{quote .said}}":                              `note ""so"`,
		"note {{quote .quoted}}":                            `note 'a "b" c'`,
		"note {{quote .empty}}":                             `note ""`,
		"first {{index .labels 1}}":                         "first b",
		"  web-1 status ":                                   "web-1 status",
		"tag-{{.ref | trimPrefix `refs/heads/` | lower}}":   "tag-main",
	} {
		m, err := newMessage(send, 200)
		require.NoError(t, err, send)
		got, err := m.expand(p)
		require.NoError(t, err, send)
		assert.Equal(t, want, got, send)
	}
	for send, why := range map[string]string{
		"{{.none}}":                `no entry for key "none"`,
		"{{.run.none}}":            `no entry for key "none"`,
		"{{.run.null.none}}":       "nil",
		"{{.null}}":                "is null",
		"{{.null | words}}":        "is null",
		"{{quote .null}}":          "is null",
		"{{.null.a}}":              "nil",
		"{{if .none}}a{{end}}b":    `no entry for key "none"`,
		`{{index .run "none"}}`:    "is null",
		"{{index .labels 2}}":      "out of range",
		"{{.title}}":               "more than one word",
		"{{.empty}}":               "is empty",
		"{{.said}}":                "quotation mark",
		"{{quote .both}}":          "cannot be quoted",
		"{{.labels}}":              "a list or a mapping",
		"{{.}}":                    "a list or a mapping",
		"{{range .labels}}{{end}}": "would be empty",
		"{{.run.id.a}}":            "can't evaluate",
		"{{.sha}}{{.sha}}{{.sha}}{{.sha}}{{.sha}}{{.sha}}": "longer than 200",
	} {
		m, err := newMessage(send, 200)
		require.NoError(t, err, send)
		got, err := m.expand(p)
		require.ErrorContains(t, err, why, send)
		assert.Empty(t, got, send)
	}
}

// Whoever names a branch adds no word and no line to a command, and nothing
// that reads other than it is.
func TestNothingIsInjected(t *testing.T) {
	t.Parallel()
	plain, err := newMessage("web-1 deploy {{.branch}}", 300)
	require.NoError(t, err)
	free, err := newMessage("web-1 deploy {{.branch | words}}", 300)
	require.NoError(t, err)
	quoted, err := newMessage("web-1 deploy {{quote .branch}}", 300)
	require.NoError(t, err)
	for _, branch := range []string{
		"main\nweb-1 reboot", "main\rweb-1 reboot", "main\r\nx", "main\u2028x", "main\u2029x", "main\u0085x", "main\vx", "main\fx",
		"main\x00x", "main\x1b[2Jx", "main\u202ex", "main\u2066x", "main\x7fx", "main\ufffex", "\n", "\ufdd0",
		strings.Repeat("x", 301),
	} {
		p := map[string]any{"branch": branch}
		for _, m := range []*message{plain, free, quoted} {
			got, err := m.expand(p)
			require.Error(t, err, "%q became %q", branch, got)
		}
	}
	for _, branch := range []string{"main web-2", "main --force", "a\tb", "a\u00a0b", "a\u3000b", "a\u200bb", "a\ufeffb", `"a`, "“a", "'a", " main", "main "} {
		_, err := plain.expand(map[string]any{"branch": branch})
		require.Error(t, err, "%q", branch)
		_, err = quoted.expand(map[string]any{"branch": branch})
		require.NoError(t, err, "%q", branch)
	}
	// No shell is involved, and a template is not filled twice.
	for _, branch := range []string{"$(reboot)", "`reboot`", "a;reboot", "a&&reboot", "a|reboot", "{{.secret}}", "${env:SECRET}", "%s", `\n`, "../../etc"} {
		got, err := plain.expand(map[string]any{"branch": branch, "secret": "hunter2"})
		require.NoError(t, err, "%q", branch)
		assert.Equal(t, "web-1 deploy "+branch, got)
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"main", "a b", "a\nb", `"`, "'", "{{.x}}", "\u202e", "", "é", "a\u2028b", "\xff", `a" b' c`} {
		f.Add(seed)
	}
	sends := []string{"web-1 deploy {{.x}}", "web-1 deploy {{quote .x}}", "web-1 deploy {{words .x}}", "web-1 {{range .l}}{{.}} {{end}}"}
	var messages []*message
	for _, send := range sends {
		m, err := newMessage(send, 200)
		if err != nil {
			f.Fatal(err)
		}
		messages = append(messages, m)
	}
	f.Fuzz(func(t *testing.T, value string) {
		raw, err := json.Marshal(map[string]any{"x": value, "l": []string{value, "b"}})
		if err != nil {
			t.Skip()
		}
		p := payload(t, string(raw))
		for i, m := range messages {
			got, err := m.expand(p)
			if err != nil {
				continue
			}
			if strings.ContainsAny(got, "\n\r\u2028\u2029\x00") || len(got) > 200 || got == "" || chat.Readable(got) != got {
				t.Errorf("%s became %q", sends[i], got)
			}
			if n := len(strings.Fields(got)); i == 0 && n != 3 {
				t.Errorf("%q added words: %q", value, got)
			}
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"{{.a}}", "{{range .l}}{{.}}{{end}}", "{{with .m}}{{.a | quote}}{{end}}", `{{index .m "a"}}`, "{{if and .a .m.a}}x{{else if not .n}}{{.n}}{{end}}", "{{/* */}}a", "{{$x := .a}}{{$x}}", "{{break}}"} {
		f.Add(seed)
	}
	p := payload(f, `{"a":"A","l":["x",1,null],"m":{"a":"b c"},"n":null}`)
	f.Fuzz(func(t *testing.T, send string) {
		m, err := newMessage(send, 200)
		if err != nil {
			return
		}
		if got, err := m.expand(p); err == nil && printable(got) != nil {
			t.Errorf("%q became %q", send, got)
		}
	})
}
