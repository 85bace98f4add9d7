package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/store"
)

// elsewhere runs the test in an empty folder, with an empty state of its own.
func elsewhere(t *testing.T) (here, state string) {
	t.Helper()
	here, state = t.TempDir(), t.TempDir()
	t.Chdir(here)
	for _, name := range []string{"XDG_STATE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(name, state)
	}
	return here, state
}

// TestNothingIsMadeUnnamed: a database that nobody named would be the wrong
// one, and its tokens good for nothing.
func TestNothingIsMadeUnnamed(t *testing.T) {
	_, state := elsewhere(t)
	for _, args := range []string{
		"agents", "agents create web-1", "tokens list", "tokens create ci --role push", "jobs", "migrate", "migrate up", "migrate status",
	} {
		code, stdout, stderr := skadi(t, strings.Fields(args)...)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "there is no database at "+state) || !strings.Contains(stderr, "-c FILE") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	if made, err := os.ReadDir(state); err != nil || len(made) > 0 {
		t.Errorf("made %v, %v", made, err)
	}
}

// TestRestoreToNowhere is of a machine that has only the backup.
func TestRestoreToNowhere(t *testing.T) {
	_, state := elsewhere(t)
	code, _, stderr := skadi(t, "restore", "skadi.backup")
	if code != exitFailed || !strings.Contains(stderr, "no database at "+state) || !strings.Contains(stderr, "name the place with --data DIR or -c FILE") || strings.Contains(stderr, "first") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if made, err := os.ReadDir(state); err != nil || len(made) > 0 {
		t.Errorf("made %v, %v", made, err)
	}
}

// TestNoDatabaseThatMayNotBeMade wants the one command that makes it.
func TestNoDatabaseThatMayNotBeMade(t *testing.T) {
	here, _ := elsewhere(t)
	file := filepath.Join(here, "own.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:0\nstore: {migrate: false}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"serve", "migrate status", "tokens create ci --role push", "jobs"} {
		code, stdout, stderr := skadi(t, append(strings.Fields(args), "-c", file)...)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "`skadi migrate up -c "+file+"`") || strings.Contains(stderr, "serve` first") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	if code, _, stderr := skadi(t, "migrate", "up", "-c", file); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := skadi(t, "tokens", "create", "ci", "--role", "push", "-c", file); code != exitOK {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestBehindNamesTheCommand has a server's database, whose schema may be behind.
func TestBehindNamesTheCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		schema store.Schema
		want   string
	}{
		{store.Schema{Newest: 5}, "it has no schema yet: run `skadi migrate up -c own.yaml`"},
		{store.Schema{Version: 3, Newest: 5}, "version 3 and this program needs 5: run `skadi migrate up -c own.yaml`"},
	} {
		p := place{Store: config.Store{Driver: config.MySQL}, file: "own.yaml"}
		if err := p.behind(fmt.Errorf("open: %w", tt.schema.Err())); !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v\nlacks %q", err, tt.want)
		}
		if state, _ := p.stateOf(tt.schema); state != "behind: run `skadi migrate up -c own.yaml`" {
			t.Errorf("the state is %q", state)
		}
	}
}

// TestTheConfigThatIsHere names the database, as it does for `skadi serve`.
func TestTheConfigThatIsHere(t *testing.T) {
	here, state := elsewhere(t)
	file := filepath.Join(here, "served.db")
	if err := os.WriteFile(defaultConfig, []byte("store: {path: "+file+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, stdout, stderr string }{
		{"agents create web-1", "skd_", "the token of web-1 is for " + file},
		{"agents rotate web-1 --json", "skd_", "the token of web-1 is for " + file},
		{"tokens create ci --role push", "skd_", "the token of ci is for " + file},
		{"agents", "web-1", ""},
		{"tokens list", "ci", ""},
		{"migrate status", file, ""},
		// A state folder that is named is another database.
		{"agents create web-2 --data " + state, "skd_", "the token of web-2 is for " + filepath.Join(state, databaseFile)},
	} {
		code, stdout, stderr := skadi(t, strings.Fields(tt.args)...)
		if code != exitOK || !strings.Contains(stdout, tt.stdout) || strings.TrimSpace(stderr) != tt.stderr {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", tt.args, code, stdout, stderr)
		}
	}
	if code, _, stderr := skadi(t, "agents", "create", "web-1"); code != exitUsage || !strings.Contains(stderr, "rotate web-1 -c skadi.yaml`") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestTwoDatabasesAreWrongUsage(t *testing.T) {
	elsewhere(t)
	for _, args := range []string{"backup x", "agents", "agents create web-1", "tokens list", "jobs", "nodes", "migrate up", "export"} {
		code, _, stderr := skadi(t, append(strings.Fields(args), "-c", "a.yaml", "--data", "b")...)
		if code != exitUsage || !strings.Contains(stderr, "give one of them") {
			t.Errorf("%s: exit %d: %s", args, code, stderr)
		}
	}
}
