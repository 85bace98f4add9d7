//go:build unix

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// TestExampleAdapter is somebody who has an adapter of their own: in a module
// of its own it is tested, among others by the conformance suite, and built into
// a Skadi that knows it.
func TestExampleAdapter(t *testing.T) {
	t.Parallel()
	const program = "skadi-mattermost"
	inExample(t, "vet", "./...")
	inExample(t, append(append([]string{"test"}, programs.BuildFlags...), "./...")...)
	inExample(t, append(append([]string{"build"}, programs.BuildFlags...), "-o", programs.Path(program), ".")...)

	secrets := []string{"MATTERMOST_BOT_TOKEN=secretsecretofthebot000000", "MATTERMOST_WEBHOOK_TOKEN=secretsecretofthehook00000"}
	file := filepath.Join(t.TempDir(), "skadi.yaml")
	text := readText(t, filepath.Join(root, exampleDir, "skadi.yaml"))
	check := func(env ...string) result {
		return programIn(t, program, "", env, "config", "check", "-c", file)
	}

	writeText(t, file, text)
	good := check(secrets...).expect(t, 0)
	contains(t, good.stdout, "is fine", "chat (mattermost): enter at the far side",
		"Integrations, Outgoing Webhooks, Callback URLs: https://skadi.example.com/adapters/chat/hook")

	for _, one := range []struct{ from, to, says string }{
		{"webhook_tokens:", "webhook_token:", "webhook_tokens"}, // what was meant
		{"bot_user_id: ", "bot_user_id: skadi # ", "skadi.yaml:11:"},
		{"https://mattermost", "http://mattermost", "must begin with https://"},
	} {
		writeText(t, file, strings.Replace(text, one.from, one.to, 1))
		contains(t, check(secrets...).expect(t, 1).stderr, "skadi.yaml:", one.says)
	}
	empty := check(secrets[0], "MATTERMOST_WEBHOOK_TOKEN=").expect(t, 1)
	contains(t, empty.stderr, "MATTERMOST_WEBHOOK_TOKEN")

	schema := programIn(t, program, "", nil, "config", "schema").expect(t, 0)
	contains(t, schema.stdout, `"mattermost"`, `"slack"`, `"webhook_tokens"`)

	// Skadi itself knows nothing of it.
	writeText(t, file, text)
	contains(t, skadiIn(t, "", secrets, "config", "check", "-c", file).expect(t, 1).stderr, `"mattermost"`)
}

const exampleDir = "docs/example-adapter"

// inExample runs go in the folder of the example.
func inExample(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(root, exampleDir)
	// The workspace and flags of whoever tests say nothing about the example.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
