package settings

import (
	"path/filepath"
	"runtime"
	"testing"
)

func TestWithin(t *testing.T) {
	t.Parallel()
	cases := []struct{ folder, path, want string }{
		{"/etc/skadi", "", ""},
		{"/etc/skadi", "state", "/etc/skadi/state"},
		{"/etc/skadi", "../state", "/etc/state"},
		{"/etc/skadi", "/srv/state", "/srv/state"},
	}
	if runtime.GOOS == "windows" {
		cases = []struct{ folder, path, want string }{
			{`C:\Program Files\Skadi`, "", ""},
			{`C:\Program Files\Skadi`, "state", `C:\Program Files\Skadi\state`},
			{`C:\Program Files\Skadi`, `a folder\state`, `C:\Program Files\Skadi\a folder\state`},
			{`C:\Program Files\Skadi`, "a/state", `C:\Program Files\Skadi\a\state`},
			{`C:\Program Files\Skadi`, `D:\state`, `D:\state`},
			{`C:\Program Files\Skadi`, `D:state`, `D:state`},
			{`C:\Program Files\Skadi`, `\srv\state`, `C:\srv\state`},
			{`C:\Program Files\Skadi`, "/srv/state", "C:/srv/state"},
			{`C:\Program Files\Skadi`, `\\server\share\state`, `\\server\share\state`},
			{`\\server\share\skadi`, `\state`, `\\server\share\state`},
		}
	}
	for _, tc := range cases {
		if got := within(tc.folder, tc.path); got != tc.want {
			t.Errorf("within(%q, %q) = %q, want %q", tc.folder, tc.path, got, tc.want)
		}
		if got := within(tc.folder, tc.want); got != "" && got != tc.want && filepath.IsAbs(tc.want) {
			t.Errorf("%q becomes %q", tc.want, got)
		}
	}
}
