package cli

import (
	"regexp"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

// TestPushGitHubLog reads the log as GitHub's runner does: what an agent puts
// out is no command there.
func TestPushGitHubLog(t *testing.T) {
	one := 1
	const evil = "::error::all is lost\n::endgroup::\n::stop-commands::x\n##[error]no\n"
	whole := regexp.MustCompile(`(?s)\A::group::#k7f3q2 web-1\n::stop-commands::([A-Z0-9]{20,})\n(.*)\n?::([A-Z0-9]+)::\n::endgroup::\n(.*)\z`)
	for _, tt := range []struct {
		name, output, shown, after string
		status                     agentapi.Job
		hang                       bool
		code                       int
	}{
		{"succeeded", "one\ntwo", "one\ntwo\n", "", agentapi.Job{Status: "succeeded"}, false, 0},
		{"evil", evil, evil, "", agentapi.Job{Status: "succeeded"}, false, 0},
		{
			"failed", "no", "no\n", "::error title=Skadi%2C web-1::#k7f3q2 failed (50%25%0A), exit code 1\n",
			agentapi.Job{Status: "failed", Reason: "50%\n", Result: &agentapi.Result{ExitCode: &one, Output: "no"}},
			false, 1,
		},
		{"left", "half a line", "half a line\n", "", agentapi.Job{}, true, exitNoAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeServer(t)
			f.pieces, f.hang = []string{tt.output}, tt.hang
			f.final.Status, f.final.Reason, f.final.Result = tt.status.Status, tt.status.Reason, tt.status.Result
			t.Setenv("SKADI_TOKEN", "skd_x")
			code, stdout, stderr := skadi(t, "push", "--wait", "--github-log", "--timeout", "2s", "--server", f.URL, "web-1", "status")
			m := whole.FindStringSubmatch(stdout)
			if m == nil || m[1] != m[3] || m[2] != tt.shown || m[4] != tt.after || code != tt.code {
				t.Errorf("exit code %d, %s:\n%s", code, stderr, stdout)
			}
			if strings.Contains(stderr, "::") {
				t.Errorf("a command on standard error:\n%s", stderr)
			}
		})
	}
	for _, flags := range [][]string{{"--github-log"}, {"--github-log", "--wait", "--json"}} {
		t.Setenv("SKADI_TOKEN", "skd_x")
		code, _, stderr := skadi(t, append(append([]string{"push", "--server", "https://x"}, flags...), "web-1", "status")...)
		if code != exitUsage || !strings.Contains(stderr, "--github-log") {
			t.Errorf("%q: exit code %d, %s", flags, code, stderr)
		}
	}
}
