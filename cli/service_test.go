package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestServiceIsHeldAgainstItsConfig: a relative store.path, as the default is,
// begins at the config's folder, to which the service may not write.
func TestServiceIsHeldAgainstItsConfig(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the unit is systemd's")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "skadi.yaml")
	for name, tc := range map[string]struct {
		config, stderr string // "" if nothing is said
		flags          []string
	}{
		"the default":      {"listen: 127.0.0.1:0\n", "store.path: the service may not write to ", nil},
		"a state folder":   {"store: {path: /var/lib/skadi/skadi.db}\n", "", nil},
		"another folder":   {"store: {path: /srv/db/skadi.db}\n", "with --writable /srv/db", nil},
		"which it may use": {"store: {path: /srv/db/skadi.db}\n", "", []string{"--writable", "/srv/db"}},
		"a server":         {"store: {driver: mysql, dsn: \"u:p@tcp(db)/skadi\"}\n", "", nil},
		"a bad config":     {"listn: 127.0.0.1:0\n", "the unit is not held against the config", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(tc.config), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"service", "install", "--print", "--program", "/usr/bin/skadi", "--user", "skadi", "-c", file}, tc.flags...)
			code, stdout, stderr := skadi(t, args...)
			if code != exitOK || !strings.Contains(stdout, "ProtectSystem=strict") {
				t.Fatalf("exit %d: %s%s", code, stdout, stderr)
			}
			// It may also say that the service does not see the test's folder.
			if !strings.Contains(stderr, tc.stderr) || (tc.stderr == "" && strings.Contains(stderr, "store.path")) {
				t.Errorf("stderr %q, want %q", stderr, tc.stderr)
			}
		})
	}
}
