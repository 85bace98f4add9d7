package output_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/agentd/agent/output"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "one\n\ttwo\n", "one\n\ttwo\n"},
		{"colours", "\x1b[1;31mred\x1b[0m text", "red text"},
		{"title ended by a bell", "\x1b]0;title\x07text", "text"},
		{"link ended by a string terminator", "\x1b]8;;https://x\x1b\\text\x1b]8;;\x1b\\.", "text."},
		{"character set", "\x1b(Btext", "text"},
		{"reset", "\x1bctext", "text"},
		{"escape within a sequence", "\x1b[1\x1b[0mtext", "text"},
		{"sequence cut off by a newline", "\x1b]0;title\ntext", "\ntext"},
		{"sequence at the end", "text\x1b[31", "text"},
		{"windows line ends", "a\r\nb\r\n", "a\nb\n"},
		{"progress bar", "10%\r50%\r100%\n", "10%\n50%\n100%\n"},
		{"carriage return at the end", "done\r", "done"},
		{"doubled carriage return", "a\r\r\nb", "a\nb"},
		{"bell, NUL and backspace", "a\x07b\x00c\x08d\x7f", "abcd"},
		{"C1 controls", "a\u009bb\u0085c", "abc"},
		{"invalid UTF-8", "a\xff\xfeb\xe2\x98", "a\uFFFD\uFFFDb\uFFFD"},
		{"other scripts", "雪 ☃ schnee", "雪 ☃ schnee"},
		{"endless sequence", "\x1b]" + strings.Repeat("x", 5000) + "end", strings.Repeat("x", 5000-4095) + "end"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := output.Clean(tc.in); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCleanerIsIndifferentToSplits(t *testing.T) {
	t.Parallel()
	pieces := []string{"a", "é", "雪", "\xff", "\xe2\x98", "\x1b", "[", "]", "0;", "m", "\x07", "\\", "\r", "\n", "(", "B", "\x00", "\u009b"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom(pieces)).Draw(t, "pieces"), "")
		whole := output.Clean(text)
		if !utf8.ValidString(whole) || strings.ContainsAny(whole, "\x1b\r\x00\x07") {
			t.Fatalf("%q became %q", text, whole)
		}
		var c output.Cleaner
		var out []byte
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			out = c.Add(out, []byte(rest[:n]))
			if !utf8.Valid(out) {
				t.Fatalf("let out half a rune: %q", out)
			}
			rest = rest[n:]
		}
		if got := string(c.Flush(out)); got != whole {
			t.Fatalf("in pieces %q, whole %q", got, whole)
		}
	})
}

var note = regexp.MustCompile(`\n… (\d+) bytes left out …\n`)

func TestCaptureKeepsHeadAndTail(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(128, 600).Draw(t, "limit")
		c := output.NewCapture(limit)
		var whole strings.Builder
		for _, p := range rapid.SliceOfN(rapid.StringMatching(`[a-zé雪]{0,120}`), 0, 30).Draw(t, "pieces") {
			c.Add([]byte(p))
			whole.WriteString(p)
		}
		got, text := c.String(), whole.String()
		if len(got) > limit {
			t.Fatalf("%d bytes, the limit is %d", len(got), limit)
		}
		if !utf8.ValidString(got) {
			t.Fatalf("cut within a rune: %q", got)
		}
		m := note.FindStringSubmatchIndex(got)
		if m == nil {
			if got != text || len(text) > limit {
				t.Fatalf("got %q of %q", got, text)
			}
			return
		}
		if !c.Truncated() {
			t.Fatal("left something out and does not say so")
		}
		head, tail := got[:m[0]], got[m[1]:]
		dropped, _ := strconv.Atoi(got[m[2]:m[3]])
		if !strings.HasPrefix(text, head) || !strings.HasSuffix(text, tail) || len(head)+dropped+len(tail) != len(text) {
			t.Fatalf("%q is not head and tail of %q", got, text)
		}
		if len(head)+len(tail) < limit-noteAndRunes {
			t.Fatalf("keeps only %d of %d bytes", len(head)+len(tail), limit)
		}
	})
}

// noteAndRunes is the room of the note and of two runes that a cut may lose.
const noteAndRunes = 64 + 8
