//go:build unix

package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryReasonIsExplained holds the reasons that Skadi gives against what
// docs/troubleshooting.md has a section for.
func TestEveryReasonIsExplained(t *testing.T) {
	t.Parallel()
	text := readText(t, filepath.Join(root, "docs/troubleshooting.md"))
	reasons := regexp.MustCompile(`(?m)^\t\w+ +Reason = "(\w+)"`).FindAllStringSubmatch(readText(t, filepath.Join(root, "core/job/job.go")), -1)
	if len(reasons) == 0 {
		t.Fatal("no reasons were found")
	}
	for _, m := range reasons {
		if !strings.Contains(text, "\n### "+m[1]+"\n") {
			t.Errorf("docs/troubleshooting.md has no section for %s", m[1])
		}
	}
	problems := readText(t, filepath.Join(root, "core/agentapi/problem_types.go"))
	for _, m := range regexp.MustCompile("(?m)^\\| \\d+ (`.*) \\|").FindAllStringSubmatch(text, -1) {
		for _, name := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(strings.Split(m[1], "|")[0], -1) {
			if !strings.Contains(problems, `"/problems/`+name[1]+`"`) {
				t.Errorf("docs/troubleshooting.md explains %s, which is no problem", name[1])
			}
		}
	}
}
