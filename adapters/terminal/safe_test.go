package terminal

import "testing"

func TestOneLine(t *testing.T) {
	t.Parallel()
	if got := oneLine("a\n b\t\x1b[1mc", 10); got != "a b c" {
		t.Errorf("got %q", got)
	}
	if got := oneLine("你好你好你好", 4); got != "你好你…" {
		t.Errorf("got %q", got)
	}
}
