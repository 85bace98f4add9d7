package service

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestStateOf reads what systemd 252 showed in each of these states.
func TestStateOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		load, active, sub string
		want              State
	}{
		{"loaded", "active", "running", Running},
		{"loaded", "reloading", "reload", Running},
		{"loaded", "activating", "start-pre", Starting},
		{"loaded", "activating", "auto-restart", Failing},
		{"loaded", "deactivating", "stop-sigterm", Stopping},
		{"loaded", "failed", "failed", Failed},
		{"loaded", "inactive", "dead", Stopped},
		{"masked", "inactive", "dead", Stopped},
		{"not-found", "inactive", "dead", NotInstalled},
		// The unit's file was taken away while it ran.
		{"not-found", "active", "running", Running},
		{"not-found", "failed", "failed", Failed},
	} {
		shown := "LoadState=" + tc.load + "\nActiveState=" + tc.active + "\nSubState=" + tc.sub + "\n"
		if got := stateOf(shown); got != tc.want {
			t.Errorf("%q is %q, want %q", shown, got, tc.want)
		}
	}
	if got := stateOf(""); got != Stopped {
		t.Errorf("nothing is %q", got)
	}
}

// TestFit: systemd takes such units, and then starts them in vain, for ever.
func TestFit(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("systemd is of Linux, and so is the program id")
	}
	const dir = "/usr" // not in a folder that the service has its own of
	for name, tc := range map[string]struct {
		unit Unit
		says string
	}{
		"no such folder":            {Unit{Writable: []string{dir, filepath.Join(dir, "none")}}, "there is no folder " + filepath.Join(dir, "none")},
		"no such user":              {Unit{User: "nobody-of-that-name"}, `there is no user "nobody-of-that-name" here`},
		"a user like a flag":        {Unit{User: "--help"}, `there is no user "--help" here`},
		"unconfined, no user":       {Unit{Unconfined: true}, "--unconfined needs --user"},
		"unconfined, with a folder": {Unit{Unconfined: true, User: "root", Writable: []string{dir}}, "leave out --writable"},
	} {
		if err := tc.unit.fit(t.Context()); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
	}
	if err := (&Unit{User: "root", Writable: []string{dir}}).fit(t.Context()); err != nil {
		t.Error(err)
	}
	// A unit has no folder that a relative path would start from.
	u := Unit{Writable: []string{"testdata"}}
	if err := u.fit(t.Context()); err != nil || !filepath.IsAbs(u.Writable[0]) {
		t.Errorf("%q, %v", u.Writable, err)
	}
}
