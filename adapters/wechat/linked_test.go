package wechat

import (
	"os/exec"
	"strings"
	"testing"
)

// TestLibraryStaysSilent: the library's root package, and its server, set a log
// of their own to everything on standard output, message bodies too. Neither is
// linked.
func TestLibraryStaysSilent(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	linked := strings.Fields(string(out))
	if len(linked) < 100 {
		t.Fatalf("go list says %q", out)
	}
	for _, pkg := range linked {
		if strings.Contains(pkg, "logrus") || pkg == "github.com/silenceper/wechat/v2" {
			t.Errorf("%s is linked", pkg)
		}
	}
}
