package throwaway

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// npmPatience is how long npm may take to install what a test needs.
const npmPatience = time.Minute

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
