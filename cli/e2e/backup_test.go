//go:build unix

package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

// lines reads the jobs of an export.
func lines(t *testing.T, out string) (jobs []agentapi.Job) {
	t.Helper()
	for line := range strings.Lines(out) {
		var j agentapi.Job
		if err := json.Unmarshal([]byte(line), &j); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		jobs = append(jobs, j)
	}
	return jobs
}

// TestBackupRestoreExport backs up under a running server, goes on, and goes
// back to it.
func TestBackupRestoreExport(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	backup := filepath.Join(t.TempDir(), "skadi.backup")
	up, url := startUp(t, data)
	admin := token(t, "tokens", "create", "root", "--role", "admin", "--data", data)
	env := []string{"SKADI_SERVER=" + url, "SKADI_TOKEN=" + admin}
	stolen := token(t, "tokens", "create", "stolen", "--role", "read", "--data", data)
	for _, name := range []string{"one", "two", "three"} {
		skadiIn(t, "", env, "push", "--wait", "local", "hello", name).expect(t, 0)
	}
	skadi(t, "backup", backup, "--data", data).expect(t, 0)
	contains(t, skadi(t, "backup", backup, "--data", data).expect(t, 1).stderr, "not overwritten")
	skadi(t, "tokens", "revoke", "stolen", "--data", data).expect(t, 0)
	token(t, "tokens", "create", "later", "--role", "push", "--data", data)
	skadiIn(t, "", env, "push", "--wait", "local", "hello", "four").expect(t, 0)

	// The same from the database and over the API, and in two pieces.
	all := skadi(t, "export", "--data", data).expect(t, 0).stdout
	jobs := lines(t, all)
	if len(jobs) != 4 || jobs[0].Message != "hello four" || jobs[3].Result == nil || jobs[3].Result.Output != "Hello, one!\n" {
		t.Fatalf("%s", all)
	}
	if over := skadiIn(t, "", env, "export", "--server", url).expect(t, 0).stdout; over != all {
		t.Errorf("over the API:\n%s\nwant:\n%s", over, all)
	}
	for _, where := range [][]string{{"--data", data}, {"--server", url}} {
		first := skadiIn(t, "", env, append([]string{"export", "--limit", "2"}, where...)...).expect(t, 0).stdout
		rest := skadiIn(t, "", env, append([]string{"export", "--after", jobs[1].Code}, where...)...).expect(t, 0).stdout
		if first+rest != all {
			t.Errorf("in two pieces:\n%s\n%s", first, rest)
		}
	}
	if got := skadi(t, "export", "--data", data, "--status", "failed").expect(t, 0).stdout; got != "" {
		t.Errorf("failed: %s", got)
	}
	skadi(t, "export", "--data", data, "--after", "?").expect(t, 2)
	for _, where := range [][]string{{"--data", data}, {"--server", url}} {
		r := skadiIn(t, "", env, append([]string{"export", "--after", "zzzzzz"}, where...)...).expect(t, 2)
		if contains(t, r.stderr, "no job has this code"); r.stdout != "" {
			t.Errorf("an export after a job that is not there has %q", r.stdout)
		}
	}

	contains(t, skadi(t, "restore", backup, "--data", data).expect(t, 1).stderr, "a server works on")
	up.signal(15)
	up.ends()
	contains(t, skadi(t, "restore", backup, "--data", data).expect(t, 0).stderr, "restored", "before-restore",
		"still so: stolen\n", "unknown to it: later; make them anew")
	if got := lines(t, skadi(t, "export", "--data", data).expect(t, 0).stdout); len(got) != 3 || got[0].ID != jobs[1].ID {
		t.Errorf("after the restore: %+v", got)
	}
	_, url = startUp(t, data)
	env[0] = "SKADI_SERVER=" + url
	skadiIn(t, "", env, "push", "--wait", "local", "hello", "again").expect(t, 0)
	if status := get(t, url+"/v1/jobs", stolen); status != http.StatusUnauthorized {
		t.Errorf("with a token that was revoked after the backup: %d", status)
	}
}

func TestBackupOfAServersDatabase(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "skadi.yaml")
	writeText(t, file, "store: {driver: mysql, dsn: 'u:hunter2@tcp(127.0.0.1:1)/skadi'}\n")
	for _, command := range []string{"backup", "restore"} {
		r := skadi(t, command, "x", "-c", file).expect(t, 2)
		contains(t, r.stderr, "mysqldump --single-transaction")
		if strings.Contains(r.stderr, "hunter2") {
			t.Error("a secret is shown")
		}
	}
}
