package nearest

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestName(t *testing.T) {
	t.Parallel()
	names := []string{"listen", "public_url", "tls", "store", "web-1", "web-2"}
	for _, tc := range []struct {
		word, want string
	}{
		{"lisen", "listen"},
		{"lsiten", "listen"},
		{"LISTEN", "listen"},
		{"publicurl", "public_url"},
		{"tsl", "tls"},
		{"web-3", "web-1"},
		{"stroe", "store"},
		{"", ""},
		{"completely", ""},
		{"x", ""},
		{"xyz", ""},
		{strings.Repeat("listen", 100), ""},
	} {
		t.Run(tc.word, func(t *testing.T) {
			t.Parallel()
			got, ok := Name(tc.word, names)
			if got != tc.want || ok != (tc.want != "") {
				t.Errorf("Name(%q) = %q, %v; want %q", tc.word, got, ok, tc.want)
			}
		})
	}
}

func TestOneSlipIsForgiven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]{2,20}`).Draw(t, "name")
		at := rapid.IntRange(0, len(name)-1).Draw(t, "at")
		got, ok := Name(name[:at]+"-"+name[at:], []string{name})
		if !ok || got != name {
			t.Fatalf("%q with a letter too many at %d was not found", name, at)
		}
	})
}

func TestDistanceIsSymmetric(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := []rune(rapid.StringMatching(`[a-c]{0,8}`).Draw(t, "a"))
		b := []rune(rapid.StringMatching(`[a-c]{0,8}`).Draw(t, "b"))
		if distance(a, b) != distance(b, a) {
			t.Fatalf("distance(%q, %q) differs from its mirror", string(a), string(b))
		}
		if (distance(a, b) == 0) != (string(a) == string(b)) {
			t.Fatalf("distance(%q, %q) = 0 must mean equal", string(a), string(b))
		}
	})
}
