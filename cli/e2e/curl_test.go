//go:build unix

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestAgentWithCurl runs the agent of docs/agent-with-curl.md as it stands
// there against the real server.
func TestAgentWithCurl(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "jq"} {
		throwaway.Program(t, tool, tool)
	}
	dir, data := t.TempDir(), t.TempDir()
	script := filepath.Join(dir, "agent.sh")
	if err := os.WriteFile(script, []byte(agentScript(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, url := startUp(t, data)
	admin := token(t, "tokens", "create", "ci", "--role", "admin", "--data", data)
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte(token(t, "agents", "create", "web-2", "--data", data)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// What the script has started outlives it a little, and must not be
	// waited for; so its output goes into a file.
	startIn(t, dir, environment(t, []string{"SKADI_SERVER=" + url, "AGENT_TOKEN_FILE=" + file}),
		"/bin/sh", "-c", `exec sh "$0" >agent.log 2>&1`, script)
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(dir, "agent.log")); err == nil && len(log) > 0 {
			t.Logf("the agent said:\n%s", log)
		}
	})

	client, err := agentapi.NewClient(agentapi.ClientConfig{Server: url, Token: admin})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	eventually(t, "the agent says what it can do", func() bool {
		agents, err := client.Agents(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range agents {
			if a.Name == "web-2" {
				return a.Online && len(a.Commands) == 4
			}
		}
		return false
	})
	for _, tc := range []struct {
		message, status, output string
		code                    int
	}{
		{"hello Ada", "succeeded", "Hello, Ada!\n", 0},
		{"hello $(id) `id` ; id", "succeeded", "Hello, $(id) `id` ; id!\n", 0},
		{"hello \"quotes\" and\nlines", "succeeded", "Hello, \"quotes\" and\nlines!\n", 0},
		{"countdown 2", "succeeded", "2\n1\n", 0},
		{"dance", "failed", "I know: hello NAME, uptime, disk, countdown 1 to 9\n", 127},
	} {
		j, err := client.Push(t.Context(), agentapi.Push{Agent: "web-2", Message: tc.message}, agentapi.PushOptions{Wait: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if j.Status != tc.status || j.Result == nil || j.Result.Output != tc.output || j.Result.ExitCode == nil || *j.Result.ExitCode != tc.code {
			t.Errorf("%q: %s %+v, want %s %q with %d", tc.message, j.Status, j.Result, tc.status, tc.output, tc.code)
		}
	}
}

// agentScript is the block of the page that its comment marks.
func agentScript(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "agent-with-curl.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, marked := strings.Cut(string(page), "<!-- agent.sh -->\n```sh\n")
	script, _, closed := strings.Cut(after, "\n```\n")
	if !marked || !closed {
		t.Fatal("the page has no block marked agent.sh")
	}
	return script + "\n"
}
