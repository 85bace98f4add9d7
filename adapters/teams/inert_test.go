package teams

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

func TestAligned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"single blanks": {"a b c", "a b c"},
		"a table":       {"NAME   AGE\na      1", "NAME   AGE\na      1"},
		"an indent":     {"  - a\n    b", "  - a\n    b"},
		"tabs":          {"a\tb\n\tc\n1234567\td\n12345678\te", "a       b\n        c\n1234567 d\n12345678        e"},
		"a date":        {"{{DATE(2026-01-01T00:00:00Z)}}", "{{\u2060DATE(2026-01-01T00:00:00Z)}}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := aligned(c.text)
			if shown := strings.ReplaceAll(got, "\u00a0", " "); shown != c.want {
				t.Errorf("%q became %q, want %q", c.text, shown, c.want)
			}
			if strings.Contains(got, "  ") || strings.Contains(got, "\n ") {
				t.Errorf("%q has blanks that would be lost", got)
			}
		})
	}
}

func TestMarkup(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"plain":      {"web-1 is online, #k7f3q2: 1.5 s (all of it)!", "web-1 is online, #k7f3q2: 1.5 s (all of it)!"},
		"XML":        {`<at>all</at> & "me"`, "&#60;at&#62;all&#60;/at&#62; &#38; &#34;me&#34;"},
		"Markdown":   {"*a* _b_ `c` [d](e) ![f](g) ~h~ \\i |j|", "&#42;a&#42; &#95;b&#95; &#96;c&#96; &#91;d&#93;(e) !&#91;f&#93;(g) &#126;h&#126; &#92;i &#124;j&#124;"},
		"braces":     {"a {b} c", "a &#123;b&#125; c"},
		"lines":      {"# a\n- b\n+ c\n12. d\n  1) e\n= f\n12.5", "&#35; a<br/>&#45; b<br/>&#43; c<br/>12&#46; d<br/>\u00a0\u00a01&#41; e<br/>&#61; f<br/>12&#46;5"},
		"an entity":  {"&lt;b&gt; &#60;", "&#38;lt;b&#38;gt; &#38;#60;"},
		"a tab":      {"a\tb", "a\u00a0\u00a0\u00a0 b"},
		"nothing":    {"", ""},
		"wide":       {"你好 👋🏽", "你好 👋🏽"},
		"half a tag": {"<", "&#60;"},
		"columns":    {"And:\n  help   what\n\n  jobs   the newest\nThat is all.", "And:<pre>\u00a0\u00a0help\u00a0\u00a0 what<br/><br/>\u00a0\u00a0jobs\u00a0\u00a0 the newest</pre>That is all."},
		"one indent": {"a\n  b\nc  ", "a<br/>\u00a0\u00a0b<br/>c\u00a0 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := markup(c.text, textBytes); got != c.want {
				t.Errorf("%q became %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func TestPersonName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Ada Lovelace":             "Ada Lovelace",
		"O'Brien, Conan (Ops)":     "O'Brien, Conan (Ops)",
		"</at><at>all</at>":        "at at all at",
		"[x](http://evil.example)": "x (http evil.example)",
		"":                         "the asker",
		"\u202e\n":                 "the asker",
		"Łukasz 你好 ज़ैनब":          "Łukasz 你好 ज़ैनब",
	} {
		if got := personName(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
	if got := personName(strings.Repeat("é", 500)); utf8.RuneCountInString(got) != nameLength {
		t.Errorf("a long name has %d characters", utf8.RuneCountInString(got))
	}
}

// FuzzMarkup holds text without a card to what it must be: seen as it is, within
// its limit, with no tag and no entity that nobody wrote on purpose.
func FuzzMarkup(f *testing.F) {
	for _, seed := range []string{
		"", "hello", "<at>all</at>", "a\nb\n\n- c", "`x` **y** [z](http://e.example)", "&lt;&#60;", "\x1b[31mred\r\n\xff\u202e",
		"1. a\n   2) b", "\n  a\n  b\n\nc", "a\n\n  b\n  c\n\n", "👨‍👩‍👧 {{x}} ${y} |", strings.Repeat("<", maxText),
	} {
		f.Add(seed, 0)
		f.Add(seed, 10)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit <= 0 || limit > textBytes {
			limit = textBytes
		}
		got := markup(text, limit)
		if n := utf16Bytes(got); n > max(limit, 2) {
			t.Fatalf("%d bytes where %d are taken", n, limit)
		}
		body, err := encode(outgoing{Activity: message(got)})
		if err != nil || !utf8.ValidString(got) {
			t.Fatalf("%q cannot be sent (%v)", got, err)
		}
		s, err := asShown(body)
		if err != nil {
			t.Fatal(err)
		}
		want := displayed(text)
		if cut, ok := strings.CutSuffix(s.Text, "…"); ok && !strings.HasSuffix(want, s.Text) {
			if !strings.HasPrefix(want, cut) {
				t.Fatalf("%q is seen as %q", text, s.Text)
			}
		} else if s.Text != want {
			t.Fatalf("%q is seen as %q", text, s.Text)
		}
		if len(s.Notified) > 0 {
			t.Fatalf("%q notifies %q", text, s.Notified)
		}
		if len(text) <= maxText && limit == textBytes && s.Text != want {
			t.Fatalf("a text of %d bytes was cut", len(text))
		}
	})
}

// FuzzCard holds cards to the same, with everything that others can write in
// them.
func FuzzCard(f *testing.F) {
	f.Add("deploy v1", "web-1", "Ada", "", "line 1\nline 2", "running", int64(0), 1000)
	f.Add("`x` <at>all</at>", "a", "</at>", "[n](http://e.example)", "```\n**b** ![i](http://e.example/i.png)", "failed", int64(7), 6000)
	f.Add("\xff\u202e", "\x00", "\x1b[31m", "\r\n", strings.Repeat("\"\\\n", 9000), "succeeded", int64(0), 0)
	f.Add("{{DATE(2026-01-01T00:00:00Z)}}", "{x}", "", "${y}", strings.Repeat("世 \t", 9000), "nonsense", int64(-1), 99999)
	f.Fuzz(func(t *testing.T, text, agent, name, note, output, mark string, start int64, limit int) {
		if limit < 16<<10 || limit > cardBytes {
			limit = cardBytes
		}
		c := &chat.Card{
			Mark: chat.Mark(mark), Code: "k7f3q2", Agent: agent, Message: text, Note: note, Output: output, OutputStart: start,
			Asker: chat.Sender{Name: name}, Final: mark != "running", More: note,
			Buttons: []chat.Button{{Label: "Cancel", Command: "cancel k7f3q2", Danger: true}, {Label: agent, Command: "rerun k7f3q2"}},
		}
		drawn, err := draw(c, limit)
		if err != nil || !utf8.Valid(drawn) {
			t.Fatalf("it cannot be drawn: %v", err)
		}
		if len(drawn) > limit {
			t.Fatalf("%d bytes where %d are taken", len(drawn), limit)
		}
		a := message("")
		a.Summary = headline(c)
		attach(&a, drawn)
		body, err := encode(outgoing{Activity: a})
		if err != nil {
			t.Fatal(err)
		}
		if n := utf16Bytes(string(body)); n > 80<<10 {
			t.Fatalf("the message takes %d bytes", n)
		}
		s, err := asShown(body)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Notified) > 0 || strings.Contains(a.Summary, "<") || strings.Contains(a.Summary, "\n") {
			t.Fatalf("it notifies %q, and the summary is %q", s.Notified, a.Summary)
		}
		if want := displayedOutput(strings.Trim(output, "\n")); !strings.Contains(s.Text, want) && !strings.Contains(s.Text, "…") {
			t.Fatalf("%q is not in %q, and nothing says that it is cut", want, s.Text)
		}
		if s.Orders["Cancel"] != "cancel k7f3q2" && oneLine(agent, labelLength) != "Cancel" {
			t.Fatalf("the buttons are %q", s.Orders)
		}
	})
}

// utf16Bytes is how long Teams takes text to be.
func utf16Bytes(text string) int {
	n := 0
	for _, r := range text {
		n += 2
		if r > 0xffff {
			n += 2
		}
	}
	return n
}
