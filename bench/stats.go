package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// median returns the middle of values, or the mean of the two in the middle;
// 0 of none.
func median[T ~int64 | ~float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// percentile returns the smallest value that p percent of sorted are not
// above; 0 of none.
func percentile[T cmp.Ordered](sorted []T, p int) (v T) {
	if len(sorted) == 0 {
		return v
	}
	return sorted[max((len(sorted)*p+99)/100-1, 0)]
}

// spread is the middle and the tail of a distribution.
type spread struct {
	P50 time.Duration `json:"p50"`
	P99 time.Duration `json:"p99"`
}

func spreadOf(values []time.Duration) spread {
	slices.Sort(values)
	return spread{P50: percentile(values, 50), P99: percentile(values, 99)}
}

func (s spread) String() string {
	return fmt.Sprintf("%s / %s", millis(s.P50), millis(s.P99))
}

// medianSpread returns the medians of the middles and of the tails.
func medianSpread(runs []spread) spread {
	var p50, p99 []time.Duration
	for _, r := range runs {
		p50, p99 = append(p50, r.P50), append(p99, r.P99)
	}
	return spread{P50: median(p50), P99: median(p99)}
}

func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms >= 100 {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// perSecond returns a rate; 0 if no time has passed.
func perSecond(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// rate prints a rate with its thousands apart.
func rate(perSecond float64, unit string) string {
	return thousands(int64(perSecond)) + " " + unit + "/s"
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func kib(bytes float64) string { return fmt.Sprintf("%.1f KiB", bytes/1024) }

func mib(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }
