package service

import (
	"runtime"
	"strings"
	"testing"
)

// TestReach: what the unit keeps its own program from is refused, where it would
// fail at each start.
func TestReach(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("systemd is of Linux, and so are its paths")
	}
	fine := Unit{Name: "skadi", Program: "/usr/bin/skadi", Config: "/etc/skadi/skadi.yaml", User: "skadi"}
	for name, tc := range map[string]struct {
		change func(*Unit)
		says   string // "" if it is fine
	}{
		"no folder":                  {func(*Unit) {}, ""},
		"the state folder":           {func(u *Unit) { u.Keeps = map[string]string{"store.path": "/var/lib/skadi"} }, ""},
		"below it":                   {func(u *Unit) { u.Keeps = map[string]string{"store.path": "/var/lib/skadi/db"} }, ""},
		"where systemd has it":       {func(u *Unit) { u.Keeps = map[string]string{"store.path": "/var/lib/private/skadi"} }, ""},
		"a writable folder":          {func(u *Unit) { u.Writable, u.Keeps = []string{"/srv"}, map[string]string{"store.path": "/srv/skadi"} }, ""},
		"a folder beside it":         {func(u *Unit) { u.Keeps = map[string]string{"store.path": "/var/lib/skadi2"} }, "keep it below /var/lib/skadi, or let it write there with --writable /var/lib/skadi2"},
		"the config's folder":        {func(u *Unit) { u.Keeps = map[string]string{"store.path": "/etc/skadi"} }, "store.path: the service may not write to /etc/skadi"},
		"up from the state folder":   {func(u *Unit) { u.Keeps = map[string]string{"store.path": "/var/lib/skadi/../x"} }, "may not write"},
		"a user of systemd's making": {func(u *Unit) { u.User, u.Keeps = "", map[string]string{"store.path": "/srv"} }, "--writable /srv and with --user"},
		"a folder in /tmp":           {func(u *Unit) { u.Keeps = map[string]string{"state_dir": "/tmp/x"} }, "may not write to /tmp/x: keep it below /var/lib/skadi"},
		"a writable folder in /tmp":  {func(u *Unit) { u.Writable = []string{"/var/tmp/x"} }, "--writable: /var/tmp/x would not be there: the service gets a /var/tmp of its own"},
		"a program in /tmp":          {func(u *Unit) { u.Program = "/tmp/skadi" }, "the program /tmp/skadi would not be there: the service gets a /tmp of its own"},
		"a config in /tmp":           {func(u *Unit) { u.Config = "/tmp/x/skadi.yaml" }, "the config /tmp/x/skadi.yaml would not be there"},
		"unconfined": {func(u *Unit) {
			u.Unconfined, u.Program, u.Keeps = true, "/tmp/agentd", map[string]string{"state_dir": "/srv"}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := fine
			tc.change(&u)
			err := u.reach()
			if tc.says == "" && err != nil {
				t.Error(err)
			}
			var unit, warnings strings.Builder
			if err := u.printFor("linux", &unit, &warnings); err != nil || unit.String() != u.Systemd() || (warnings.Len() > 0) != (tc.says != "") {
				t.Errorf("%v, %q, printed:\n%s", err, warnings.String(), unit.String())
			}
			if tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("%v, want %q", err, tc.says)
			}
		})
	}
}
