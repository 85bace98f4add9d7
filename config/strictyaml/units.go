package strictyaml

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// ParseDuration parses a duration that is not negative: what
// time.ParseDuration takes, with d for days of 24 hours in front: 90d, 1d12h.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no duration", s)
	var sum time.Duration
	if days, rest, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/day) {
			return 0, bad
		}
		sum, s = time.Duration(n)*day, rest
		if s == "" {
			return sum, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || strings.HasPrefix(s, "+") || sum > math.MaxInt64-d {
		return 0, bad
	}
	return sum + d, nil
}

// FormatDuration writes a duration as short as ParseDuration reads it.
func FormatDuration(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	var s string
	if d >= day {
		s = strconv.FormatInt(int64(d/day), 10) + "d"
		if d %= day; d == 0 {
			return s
		}
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return s + text
}

// Size is a number of bytes, written as 64KiB, 1MiB, 2GiB or a plain number.
type Size int64

var errSize = errors.New("is no size; write one such as 64KiB, 1MiB or a number of bytes")

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes || digits[0] == '+' || digits[0] == '-' {
			break
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q %w", text, errSize)
}

// String writes the size in the largest unit that it is a whole number of.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if int64(s) >= u.bytes && int64(s)%u.bytes == 0 && u.suffix != "" {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
