package mysql

import "testing"

func TestCommonExpressionOfAColumn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		values     []any
		expression string
		arg        any
	}{
		{"the same number", []any{int64(3), int64(3)}, "?", int64(3)},
		{"the same text", []any{"sent", "sent"}, "?", "sent"},
		{"nothing for all", []any{nil, nil}, "?", nil},
		{"texts that end in the numbers", []any{"seed.9", "seed.12"}, "CONCAT(?, num)", "seed."},
		{"one text ends in a number and not in its own", []any{"seed.9", "seed.9"}, "?", "seed.9"},
		{"numbers of each other", []any{"seed.12", "seed.9"}, "", nil},
		{"nothing before the number", []any{"9", "12"}, "", nil},
		{"other heads", []any{"a.9", "b.12"}, "", nil},
		{"numbers that differ", []any{int64(9), int64(12)}, "", nil},
		{"one is missing", []any{"seed.9", nil}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			expression, arg, ok := common([]any{int64(9), int64(12)}, c.values, 1)
			if expression != c.expression || arg != c.arg || ok != (c.expression != "") {
				t.Errorf("got %q of %v, %t", expression, arg, ok)
			}
		})
	}
}
