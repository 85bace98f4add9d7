package throwaway

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// npmPatience is how long npm may take to install what a test needs.
const npmPatience = time.Minute

// NPM is InstallNPM for a test, with npm as it is installed. If it fails, the
// test is skipped, or fails with SKADI_TEST_REQUIRE=1.
func NPM(t testing.TB, from, to string) {
	t.Helper()
	err := InstallNPM(Program(t, "npm", "npm"), from, to)
	switch {
	case err == nil:
	case os.Getenv("SKADI_TEST_REQUIRE") == "1":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// InstallNPM copies the folder from to the folder to, and has npm install there
// what the lock file says. npm is the path of the program.
func InstallNPM(npm, from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), npmPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = to
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci in %s: %w\n%s", from, err, out)
	}
	return nil
}
