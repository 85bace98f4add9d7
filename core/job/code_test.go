package job

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCodeRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		num := rapid.Int64Range(0, 1<<40).Draw(t, "num")
		code := EncodeCode(num)
		if len(code) < 6 {
			t.Fatalf("%q is too short", code)
		}
		for _, typed := range []string{code, "#" + code, strings.ToUpper(code), strings.ReplaceAll(code, "0", "O"), strings.ReplaceAll(code, "1", "l")} {
			if got, ok := ParseCode(typed); !ok || got != num {
				t.Fatalf("%q: got %d, %v, want %d", typed, got, ok, num)
			}
		}
	})
}

func TestCodesOfNeighboursDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for num := range int64(100_000) {
		code := EncodeCode(num)
		require.False(t, seen[code])
		seen[code] = true
	}
	require.NotEqual(t, EncodeCode(1)[:4], EncodeCode(2)[:4])
}

func FuzzParseCode(f *testing.F) {
	for _, s := range []string{"", "#", "k7f3q2", "#K7F3Q2", "zzzzzzzzzzz", "k7f3qé", "00000u"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if num, ok := ParseCode(s); ok {
			again, ok := ParseCode(EncodeCode(num))
			require.True(t, ok)
			require.Equal(t, num, again)
		}
	})
}
