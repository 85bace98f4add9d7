package main

import (
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 2, 3}, 2.5},
	} {
		if got := median(tc.values); got != tc.want {
			t.Errorf("median(%v) = %v, want %v", tc.values, got, tc.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[len(hundred)-1-i] = time.Duration(i + 1)
	}
	if got := spreadOf(hundred); got.P50 != 50 || got.P99 != 99 {
		t.Errorf("of 1 to 100: %d and %d, want 50 and 99", got.P50, got.P99)
	}
	if got := spreadOf([]time.Duration{7}); got.P50 != 7 || got.P99 != 7 {
		t.Errorf("of 7 alone: %d and %d", got.P50, got.P99)
	}
	if got := spreadOf(nil); got.P50 != 0 {
		t.Errorf("of nothing: %d", got.P50)
	}
}

func TestNumbersForPeople(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ got, want string }{
		{thousands(0), "0"},
		{thousands(999), "999"},
		{thousands(1000), "1,000"},
		{thousands(1234567), "1,234,567"},
		{millis(2500 * time.Microsecond), "2.50 ms"},
		{millis(501 * time.Millisecond), "501 ms"},
		{rate(12345.6, "jobs"), "12,345 jobs/s"},
		{kib(2048), "2.0 KiB"},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
}

func TestTableAlignsColumns(t *testing.T) {
	t.Parallel()
	var tab table
	tab.heading("Rate")
	tab.add(row{what: "plain polls", value: "9 jobs/s", ratio: "2.0×", met: judge(true)})
	tab.heading("Nothing was measured here")
	tab.note("seen %d times", 5)
	var out strings.Builder
	if err := tab.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `measured     Skadi     beside it  ratio  asked  met
── Rate
plain polls  9 jobs/s             2.0×          yes
* seen 5 times
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
