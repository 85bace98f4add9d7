package chat_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

func TestReadable(t *testing.T) {
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
		"line separator":      {"a\u2028b", `a\u2028b`},
		"noncharacters":       {"\ufffe\ufdd0\U0001ffff", `\u{fffe}\u{fdd0}\u{1ffff}`},
		"invalid UTF-8":       {"a\xff\xfeb", "a\uFFFDb"},
		"CRLF":                {"a\r\nb\r\n", "a\nb\n"},
		"progress bar":        {"1%\r50%\r100%\ndone", "100%\ndone"},
	} {
		if got := chat.Readable(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzReadable(f *testing.F) {
	f.Add("a\x1b[31mred\x1b[0m\r\nb\xff\u202e")
	f.Add("\x1b\x1b[[0m]\x07")
	f.Fuzz(func(t *testing.T, in string) {
		out := chat.Readable(in)
		if !utf8.ValidString(out) {
			t.Fatalf("%q became invalid UTF-8: %q", in, out)
		}
		if i := strings.IndexFunc(out, func(r rune) bool {
			return r != '\n' && r != '\t' && (unicode.IsControl(r) || strings.ContainsRune("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufffe\uffff", r))
		}); i >= 0 {
			t.Fatalf("%q keeps a control character at %d: %q", in, i, out)
		}
		if again := chat.Readable(out); again != out {
			t.Fatalf("%q changes again: %q", out, again)
		}
	})
}
