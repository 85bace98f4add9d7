package command

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// separators are what may stand between a name and the message, with what a
// person means by nothing more than a gap.
var separators = []string{" ", "\t", "\n", "\r\n", "  ", "\u00a0", "\u3000", ": ", ", ", "：", " \n"}

func TestMessageIsVerbatim(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		message := strings.TrimFunc(anyText(t, "message"), skipped)
		separator := rapid.SampledFrom(separators).Draw(t, "separator")
		prefix := rapid.SampledFrom([]string{"", "skadi ", "/skadi: "}).Draw(t, "prefix")
		tail := rapid.SampledFrom([]string{"", " ", "\n", " \r\n\u00a0"}).Draw(t, "tail")
		text := prefix + "web-1" + separator + message + tail
		// White space in the message's end is not told from the tail.
		want := strings.TrimRightFunc(message, unicode.IsSpace)
		if got := Parse(text, known("web-1")); got != send("web-1", want) {
			t.Fatalf("Parse(%q)\n got %+v\nwant %+v", text, got, send("web-1", want))
		}
	})
}

func TestDefaultMessageIsVerbatim(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := anyText(t, "text")
		c := known()
		c.Default = "web-1"
		got := Parse(text, c)
		if !got.Defaulted {
			t.Skip("a built-in or nothing")
		}
		if !isPrefix(firstWord(text), nil) && got.Message != strings.TrimRightFunc(strings.TrimLeftFunc(text, skipped), unicode.IsSpace) {
			t.Fatalf("Parse(%q) sends %q", text, got.Message)
		}
	})
}

func TestDecorationDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?`).Draw(t, "name")
		if got := fold(decorate(t, name)); got != name {
			t.Fatalf("%q is read as %q", name, got)
		}
	})
}

// decorate writes a name as phones and office programs would.
func decorate(t *rapid.T, name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r == '-':
			r = rapid.SampledFrom([]rune("-‐‑‒–—−－")).Draw(t, "dash")
		case rapid.Bool().Draw(t, "wide"):
			r += '！' - '!'
		case rapid.Bool().Draw(t, "capital"):
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
		b.WriteString(rapid.SampledFrom([]string{"", "", "\u200b", "\u200d", "\ufe0f", "\u00ad"}).Draw(t, "invisible"))
	}
	around := rapid.SampledFrom([]string{"", "\"\"", "“”", "‘’", "„“", "「」", "``"}).Draw(t, "quotes")
	runes := []rune(around)
	s := b.String()
	if len(runes) == 2 {
		s = string(runes[0]) + s + string(runes[1])
	}
	return s + rapid.SampledFrom([]string{"", ":", ",", "：", "，"}).Draw(t, "punctuation")
}

// anyText is text with all that makes parsing hard, bytes that are no UTF-8
// among it.
func anyText(t *rapid.T, label string) string {
	return strings.Join(rapid.SliceOf(rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{" ", "\n", "\t", "\r\n", "\u00a0", "\u200b", "\xff", "\x00", "：", "“", "help", "use", "web-1", "skadi", "#"}),
	)).Draw(t, label), "")
}

func firstWord(text string) string {
	word, _ := splitWord(text)
	return word
}

// FuzzParse checks what holds for every text: no panic, a message that is one
// piece of the input, and the same answer with or without more white space
// around it.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "web-1 deploy v1", "web-1:\n  a\n", "skadi help", "use –", "why r—abc", "cancel ＃k7f3q2",
		"“web-1”： x", "\xffweb-1 \x00", "\u200b \u200bweb-1\u200b x\u200b ", "web-1\u2028x", "job #", "/",
	} {
		f.Add(seed, "web-1")
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, text, agent string) {
		c := known("web-1", "x")
		c.Default = agent
		got := Parse(text, c)
		switch got.Verb {
		case Send:
			if !strings.HasSuffix(strings.TrimRightFunc(text, unicode.IsSpace), got.Message) {
				t.Errorf("Parse(%q): %q is no piece of it", text, got.Message)
			}
			if got.Agent == "" {
				t.Errorf("Parse(%q) sends to nobody", text)
			}
		case Unknown:
			if got.Word == "" || !strings.Contains(text, got.Word) {
				t.Errorf("Parse(%q): the word %q is no piece of it", text, got.Word)
			}
		case Nothing:
		default:
			if _, ok := Lookup(string(got.Verb)); !ok {
				t.Errorf("Parse(%q) = %+v is no built-in", text, got)
			}
		}
		if again := Parse(" \n"+text+"\n ", c); again != got {
			t.Errorf("Parse(%q) = %+v, with white space around it %+v", text, got, again)
		}
	})
}
