package agent_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/agentd/agent"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in   string
		want []string
		err  string
	}{
		{"", nil, ""},
		{"  \n ", nil, ""},
		{"one two  three\n", []string{"one", "two", "three"}, ""},
		{`say "hello there" now`, []string{"say", "hello there", "now"}, ""},
		{`say 'hello "there"'`, []string{"say", `hello "there"`}, ""},
		{`""`, []string{""}, ""},
		{"say “hello there” „und hier“ «là» ‘x y’", []string{"say", "hello there", "und hier", "là", "x y"}, ""},
		{"don't can’t --a=\"b c\"", []string{"don't", "can’t", `--a="b`, `c"`}, ""},
		{`"a"b" c`, []string{`a"b`, "c"}, ""},
		{"no\u00a0break", []string{"no", "break"}, ""},
		{`back\slash "C:\dir with space\"`, []string{`back\slash`, `C:\dir with space\`}, ""},
		{`say "hello`, nil, "the quotation mark \" at position 5 is not closed"},
		{`say "hello"x`, nil, "position 5 is not closed"},
		{"a\x00b", nil, "control character (U+0000) at position 2"},
		{"é\x1b[1m", nil, "(U+001B) at position 2"},
		{"$(rm) `x` ; | & > *", []string{"$(rm)", "`x`", ";", "|", "&", ">", "*"}, ""},
	} {
		got, err := agent.Words(tc.in)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("Words(%q): error %v, want %q", tc.in, err, tc.err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("Words(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"a b", `"a b" 'c`, "“x”", "a\u00a0b", "\xff\"", "‘’ ’"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, message string) {
		words, err := agent.Words(message)
		if err != nil {
			return
		}
		// Every word stands in the message, in order, and none is made up.
		rest := message
		for _, w := range words {
			at := strings.Index(rest, w)
			if at < 0 {
				t.Fatalf("Words(%q): %q is not in it, or out of order", message, w)
			}
			rest = rest[at+len(w):]
		}
		// Quoting each word gives the same words again.
		again := ""
		for _, w := range words {
			if strings.ContainsAny(w, `"”“`) {
				return
			}
			again += " \"" + w + "\""
		}
		if got, err := agent.Words(again); err != nil || !slices.Equal(got, words) {
			t.Fatalf("Words(%q) = %q, %v, want %q", again, got, err, words)
		}
	})
}
