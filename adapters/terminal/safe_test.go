package terminal

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestHarmless(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"plain":               {"Hello,\tAda!\n", "Hello,\tAda!\n"},
		"letters of any kind": {"täg 你好 שלום 👋🏽", "täg 你好 שלום 👋🏽"},
		"colours":             {"\x1b[31mred\x1b[0m", "red"},
		"cursor and screen":   {"a\x1b[2J\x1b[1;1Hb", "ab"},
		"window title":        {"a\x1b]0;owned\x07b", "ab"},
		"title, string end":   {"a\x1b]0;owned\x1b\\b", "ab"},
		"title without end":   {"a\x1b]0;owned\nb", "a\nb"},
		"reset":               {"a\x1bcb", "ab"},
		"character set":       {"a\x1b(0b", "ab"},
		"escape at the end":   {"a\x1b", `a\x1b`},
		"bell and backspace":  {"a\a\bb", `a\x07\x08b`},
		"delete and NUL":      {"a\x7f\x00", `a\x7f\x00`},
		"C1 control":          {"a\u009b31mb", `a\u009b31mb`},
		"reordering":          {"a\u202egpj.exe", `a\u202egpj.exe`},
		"invalid UTF-8":       {"a\xff\xfeb", "a\uFFFDb"},
		"CRLF":                {"a\r\nb\r\n", "a\nb\n"},
		"progress bar":        {"1%\r50%\r100%\ndone", "100%\ndone"},
	} {
		if got := harmless(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzHarmless(f *testing.F) {
	f.Add("a\x1b[31mred\x1b[0m\r\nb\xff\u202e")
	f.Add("\x1b\x1b[[0m]\x07")
	f.Fuzz(func(t *testing.T, in string) {
		out := harmless(in)
		if !utf8.ValidString(out) {
			t.Fatalf("%q became invalid UTF-8: %q", in, out)
		}
		if i := strings.IndexFunc(out, func(r rune) bool {
			return r != '\n' && r != '\t' && (unicode.IsControl(r) || reorders(r))
		}); i >= 0 {
			t.Fatalf("%q keeps a control character at %d: %q", in, i, out)
		}
		if again := harmless(out); again != out {
			t.Fatalf("%q changes again: %q", out, again)
		}
	})
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	if got := oneLine("a\n b\t\x1b[1mc", 10); got != "a b c" {
		t.Errorf("got %q", got)
	}
	if got := oneLine("你好你好你好", 4); got != "你好你…" {
		t.Errorf("got %q", got)
	}
}
