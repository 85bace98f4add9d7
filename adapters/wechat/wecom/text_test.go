package wecom

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/core/chat"
)

func TestSplitLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := chat.Readable(rapid.String().Draw(rt, "text"))
		limit := rapid.IntRange(8, 64).Draw(rt, "limit")
		parts := split(text, limit, 1000)
		at := 0
		for _, p := range parts {
			if len(p) > limit || !utf8.ValidString(p) {
				rt.Fatalf("a part of %d bytes, at most %d: %q", len(p), limit, p)
			}
			if at < len(text) && text[at] == '\n' && !strings.HasPrefix(text[at:], p) {
				at++ // the line's end between two parts
			}
			if !strings.HasPrefix(text[at:], p) {
				rt.Fatalf("%q is split into %q", text, parts)
			}
			at += len(p)
		}
		if rest := strings.TrimPrefix(text[at:], "\n"); rest != "" {
			rt.Fatalf("%q is lost", rest)
		}
		few := split(text, limit, 3)
		if len(few) > 3 || len(parts) > 3 && !strings.HasSuffix(few[2], "…") {
			rt.Fatalf("%q", few)
		}
	})
}

// TestNoLinkInText checks that no text becomes a link with another name.
func TestNoLinkInText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`<a href="https://evil.example">bank</a>`, `<A HREF='x'>y</A >`, "<a\nhref=x>", "<a\thref>", `< a href="x">y</a>`, "<a/href=x>", "<<a href=x>", "<a>",
	} {
		if got := shown(text); strings.Contains(strings.ToLower(got), "<a") || strings.Contains(got, "</a") {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
	for _, text := range []string{"a < b", "<abbr>", "1 <aa> 2", "x<y"} {
		if got := shown(text); got != text {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

func TestMarked(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"**a**", "[a](b)", "`a`", "<font>", "# a", "a\n> b", "  # a", "- a", "<@all>", "a_b", "---"} {
		if !marked(text) {
			t.Errorf("%q counts as plain", text)
		}
	}
	for _, text := range []string{"", "deploy v1.2.3", "all is well: 3/4 (75%)", "a #1", "a-b", "你好"} {
		if marked(text) {
			t.Errorf("%q counts as markup", text)
		}
	}
}

// TestPaceHolds sends at random, and checks every window of the far side.
func TestPaceHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := pace{windows: []window{{5, time.Minute}, {12, 10 * time.Minute}}}
		now := time.Unix(1_000_000, 0)
		var sent []time.Time
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(rt, "seconds")) * time.Second)
			n := rapid.IntRange(1, 3).Draw(rt, "n")
			if wait := p.wait("a", n, now); wait > 0 {
				later := now.Add(wait)
				if again := p.wait("a", n, later); again > 0 {
					rt.Fatalf("after %s it is to wait %s more", wait, again)
				}
				now = later
			}
			for range n {
				sent = append(sent, now)
			}
		}
		for i := range sent {
			for _, w := range p.windows {
				in := 0
				for _, at := range sent[i:] {
					if at.Sub(sent[i]) < w.span {
						in++
					}
				}
				if in > w.most {
					rt.Fatalf("%d messages within %s", in, w.span)
				}
			}
		}
	})
	p := pace{windows: memberWindows}
	for i := range 10_000 {
		p.wait(strings.Repeat("x", i%100), 1, time.Unix(int64(i)*7200, 0))
	}
	if len(p.sent) > 2 {
		t.Errorf("%d members are remembered for ever", len(p.sent))
	}
}

func FuzzShown(f *testing.F) {
	f.Add("<a href=x>y</a>")
	f.Add("\x1b[31m<\x1b[0ma href=x>")
	f.Add("<\u202ea ")
	f.Fuzz(func(t *testing.T, text string) {
		got := shown(text)
		if !utf8.ValidString(got) || anchor.MatchString(got) {
			t.Errorf("%q is shown as %q", text, got)
		}
		for _, p := range split(got, maxText, maxParts) {
			if len(p) > maxText || !utf8.ValidString(p) {
				t.Errorf("a part of %d bytes", len(p))
			}
		}
	})
}
