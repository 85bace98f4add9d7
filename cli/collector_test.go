package cli

import "testing"

func TestGCPercent(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tc := range []struct {
		name       string
		heap, rest uint64
		want       int
	}{
		{"nothing is known yet", 0, 0, mostRoom},
		{"little in use", 4 * mib, mib, mostRoom},
		{"some in use", 14 * mib, 2 * mib, 300},
		{"as much as Go's own pace allows", 32 * mib, 0, 100},
		{"many waiting agents", 40 * mib, 120 * mib, 100},
		{"more than the room", 500 * mib, 10 * mib, 100},
	} {
		if got := gcPercent(tc.heap, tc.rest); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestInUseIsKnown(t *testing.T) {
	t.Parallel()
	if _, rest := inUse(); rest == 0 {
		t.Error("the runtime tells nothing of what is in use")
	}
}
