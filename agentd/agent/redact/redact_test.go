package redact_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/agentd/agent/redact"
)

func TestString(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		secrets []string
		in      string
		want    string
	}{
		{"none", nil, "plain text", "plain text"},
		{"one", []string{"hunter2"}, "password hunter2!", "password ***!"},
		{"at both ends", []string{"hunter2"}, "hunter2 and hunter2", "*** and ***"},
		{"only the beginning of one", []string{"hunter2"}, "hunter", "hunter"},
		{"touching", []string{"abcd"}, "abcdabcd.", "***."},
		{"overlapping", []string{"abcdef", "defghi"}, "xabcdefghiy", "x***y"},
		{"one inside another", []string{"secret", "a secret b"}, "a secret c a secret b", "a *** c ***"},
		{"longer one fails after a shorter one ended", []string{"abcd", "abcdefgh"}, "abcdefg", "***efg"},
		{"self-overlapping", []string{"aaaa"}, "baaaaaaab", "b***b"},
		{"self-overlapping, too short", []string{"aaaa"}, "baaab", "baaab"},
		{"too short to look for", []string{"abc", "1"}, "abc 1", "abc 1"},
		{"space around", []string{"  hunter2\n"}, "hunter2 and   hunter2\n", "*** and ***"},
		{"lines", []string{"-----BEGIN-----\nMIIEabcd\nxyz\n-----END-----"}, "it has MIIEabcd and xyz", "it has *** and xyz"},
		{"carriage returns", []string{"line one\r\nline two"}, "line one\nline two", "***"},
		{"not ASCII", []string{"schlüssel"}, "der schlüssel ☃", "der *** ☃"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := redact.New(tc.secrets...).String(tc.in); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestNilSetHasNoSecrets(t *testing.T) {
	t.Parallel()
	var s *redact.Set
	if got := s.String("text"); got != "text" {
		t.Errorf("got %q", got)
	}
}

// letters is a small alphabet, so that secrets overlap with themselves, each
// other and the text.
func letters(most int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOfN(rapid.SampledFrom([]byte("ab")), 0, most).Draw(t, "letters"))
	})
}

// TestSplitsNeverLeak is the package's promise: wherever the stream is split,
// the outcome is the same, and what is let out holds no secret.
func TestSplitsNeverLeak(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(letters(9), 1, 4).Draw(t, "secrets")
		set := redact.New(secrets...)
		text := letters(60).Draw(t, "text")
		whole := set.String(text)
		for _, s := range secrets {
			if redact.Check(s) == nil && strings.Contains(whole, s) {
				t.Fatalf("%q of %q holds the secret %q", whole, text, s)
			}
		}
		if want := naive(text, secrets); whole != want {
			t.Fatalf("%q became %q, want %q (secrets %q)", text, whole, want, secrets)
		}

		stream := set.Stream()
		var out []byte
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			out = stream.Add(out, []byte(rest[:n]))
			if !strings.HasPrefix(whole, string(out)) {
				t.Fatalf("let out %q early, the whole is %q", out, whole)
			}
			rest = rest[n:]
		}
		if got := string(stream.Flush(out)); got != whole {
			t.Fatalf("in pieces %q, whole %q", got, whole)
		}
	})
}

// naive marks every occurrence of every secret and masks each run of marks.
func naive(text string, secrets []string) string {
	marked := make([]bool, len(text))
	for _, s := range secrets {
		if redact.Check(s) != nil {
			continue
		}
		for i := 0; i+len(s) <= len(text); i++ {
			if text[i:i+len(s)] == s {
				for k := range s {
					marked[i+k] = true
				}
			}
		}
	}
	var b strings.Builder
	for i := range text {
		switch {
		case !marked[i]:
			b.WriteByte(text[i])
		case i == 0 || !marked[i-1]:
			b.WriteString(redact.Mask)
		}
	}
	return b.String()
}

func BenchmarkAdd(b *testing.B) {
	stream := redact.New("skd_0123456789abcdef", "another secret").Stream()
	line := []byte(strings.Repeat("an ordinary line of output, with some words\n", 100))
	var out []byte
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		out = stream.Add(out[:0], line)
	}
}
