package access

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern string
		match   []string
		refuse  []string
	}{
		{
			pattern: "status",
			match:   []string{"status"},
			refuse: []string{
				"", "Status", "status ", " status", "status now", "statu", "statuss",
				"status\n", "status\x00", "status\u00a0", "\ufeffstatus", "status\x7f",
			},
		},
		{
			pattern: "deploy *",
			match:   []string{"deploy v1", "deploy ünï", "deploy --force", "deploy *", "deploy 👩\u200d💻"},
			refuse: []string{
				"deploy", "deploy ", "deploy  v1", "deploy v1 ", "deploy v1 now", "deploy\tv1", "deploy v1\nrm",
				"deploy v1\r\nrm", "deploy\u00a0v1", "deploy v1\u2028rm", "deploy v1\u3000rm", "deploy v1\x00",
				"deploy v1\u0085rm", "deploy \u202ev1", "deploy v1\u200b", "deploy \xff", "Deploy v1",
			},
		},
		{
			pattern: "deploy v*.*",
			match:   []string{"deploy v1.2", "deploy v.", "deploy v1.2.3"},
			refuse:  []string{"deploy v1", "deploy x1.2", "deploy v1.2 x", "deploy v1 .2"},
		},
		{
			pattern: "deploy **",
			match:   []string{"deploy", "deploy v1", "deploy v1 to web", "deploy ", "deploy  v1"},
			refuse:  []string{"deployx", "Deploy v1", " deploy v1", "deploy v1\nrm", "deploy v1\trm", "deploy\nrm", "deploy \xff"},
		},
		{
			pattern: "* status",
			match:   []string{"web status", "* status"},
			refuse:  []string{"status", " status", "a b status"},
		},
		{
			pattern: "**",
			match:   []string{"", "anything", " two  spaces ", "two\nlines", "tab\there", "\u2028"},
			refuse:  []string{"no \xff UTF-8"},
		},
	} {
		t.Run(tc.pattern, func(t *testing.T) {
			t.Parallel()
			p, err := parsePattern(tc.pattern)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range tc.match {
				if !p.match(m) {
					t.Errorf("%q should match %q", tc.pattern, m)
				}
			}
			for _, m := range tc.refuse {
				if p.match(m) {
					t.Errorf("%q should not match %q", tc.pattern, m)
				}
			}
		})
	}
}

func TestPatternErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ pattern, want string }{
		{"", "is empty"},
		{" ", "single spaces"},
		{"deploy  *", "single spaces"},
		{"deploy ", "single spaces"},
		{" deploy", "single spaces"},
		{"deploy ** now", "must be the last word"},
		{"deploy v**", "must be the last word"},
		{"deploy ***", "must be the last word"},
		{"** **", "must be the last word"},
		{"deploy\tv1", "a tab"},
		{"deploy\nv1", "a line break"},
		{"deploy\u00a0v1", "the white space U+00A0"},
		{"deploy\u200bv1", "the invisible character U+200B"},
		{"deploy \xff", "no UTF-8"},
	} {
		t.Run(tc.pattern, func(t *testing.T) {
			t.Parallel()
			_, err := parsePattern(tc.pattern)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("parsePattern(%q) = %v; want an error with %q", tc.pattern, err, tc.want)
			}
		})
	}
}

// genWord draws a word of a message: printable, without spaces.
var genWord = rapid.StringMatching(`[a-zA-Z0-9é\-;|&$*.]{1,6}`)

// genHostile draws text in which everything may occur.
var genHostile = rapid.StringOf(rapid.OneOf(
	rapid.SampledFrom([]rune(" ab*\t\n\r\v\f\x00\x1b\x7f\u0085\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\u200b\u202e\u2066\ufeff\u00ad")),
	rapid.Rune(),
))

func TestLiteralMatchesOnlyItself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,3}`), 1, 4).Draw(t, "words")
		text := strings.Join(words, " ")
		p, err := parsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		message := rapid.OneOf(rapid.Just(text), genHostile).Draw(t, "message")
		if p.match(message) != (message == text) {
			t.Fatalf("%q matches %q", text, message)
		}
	})
}

func TestStarsCountWords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stars := rapid.IntRange(1, 4).Draw(t, "stars")
		words := rapid.SliceOfN(genWord, 1, 5).Draw(t, "words")
		one, err := parsePattern("run" + strings.Repeat(" *", stars))
		if err != nil {
			t.Fatal(err)
		}
		message := "run " + strings.Join(words, " ")
		if one.match(message) != (len(words) == stars) {
			t.Fatalf("%d stars match %q", stars, message)
		}
		any, err := parsePattern("run **")
		if err != nil {
			t.Fatal(err)
		}
		if !any.match(message) {
			t.Fatalf("run ** does not match %q", message)
		}
	})
}

// TestNothingSlipsThrough holds for every pattern but **: what it lets
// through is one line of plain words, as many as the pattern has.
func TestNothingSlipsThrough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*", "a*", "*b", "*a*"}), 1, 4).Draw(t, "words")
		open := rapid.Bool().Draw(t, "open")
		text := strings.Join(words, " ")
		if open {
			text += " **"
		}
		p, err := parsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		var message string
		if rapid.Bool().Draw(t, "near") {
			parts := strings.Split(strings.ReplaceAll(strings.Join(words, " "), "*", "a"), " ")
			at := rapid.IntRange(0, len(parts)-1).Draw(t, "at")
			parts[at] += genHostile.Draw(t, "addition")
			message = strings.Join(parts, " ")
		} else {
			message = genHostile.Draw(t, "message")
		}
		if p.match(message) {
			checkPlain(t, text, message, len(words), open)
		}
	})
}

func checkPlain(t interface{ Fatalf(string, ...any) }, pattern, message string, words int, open bool) {
	if !utf8.ValidString(message) {
		t.Fatalf("%q let broken UTF-8 through: %q", pattern, message)
	}
	for _, r := range message {
		if r != ' ' && (unicode.IsSpace(r) || unicode.IsControl(r)) {
			t.Fatalf("%q let %U through: %q", pattern, r, message)
		}
	}
	// Fields splits at any white space, however much of it: if it sees other
	// words than the pattern counted, one slipped through.
	if n := len(strings.Fields(message)); n < words || !open && n != words {
		t.Fatalf("%q has %d words and let %d through: %q", pattern, words, n, message)
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("deploy *", "deploy v1")
	f.Add("deploy **", "deploy v1\nrm")
	f.Add("a*b*c *", "aXbXc \u00a0")
	f.Add("**", "\xff")
	f.Fuzz(func(t *testing.T, text, message string) {
		p, err := parsePattern(text)
		if err != nil {
			return
		}
		if p.match(message) && !p.matchesAll() {
			checkPlain(t, text, message, len(p.words), p.rest)
		}
		if !p.wild() && p.match(message) != (text == message) {
			t.Fatalf("%q without a wildcard matches %q", text, message)
		}
		if p.match(message) {
			first, _, _ := strings.Cut(message, " ")
			if !p.matchFirst(first) {
				t.Fatalf("%q matches %q and not its first word", text, message)
			}
		}
	})
}

func TestGlobAgainstRecursion(t *testing.T) {
	t.Parallel()
	var slow func(p, s string) bool
	slow = func(p, s string) bool {
		switch {
		case p == "":
			return s == ""
		case p[0] == '*':
			return slow(p[1:], s) || s != "" && slow(p, s[1:])
		}
		return s != "" && p[0] == s[0] && slow(p[1:], s[1:])
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringMatching(`[ab*]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "text")
		if glob(p, s) != slow(p, s) {
			t.Fatalf("glob(%q, %q) = %v", p, s, glob(p, s))
		}
	})
}
