package throwaway

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Program returns the path of a program. Without it the test is skipped, or
// fails with SKADI_TEST_REQUIRE=1; pkg is the package of Debian and Ubuntu
// that has it.
func Program(t testing.TB, name, pkg string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	// Servers live where only root looks by default.
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return missing(t, name, pkg)
}

// library is Program for a file that programs load, which is at one of these
// places.
func library(t testing.TB, pkg string, places ...string) string {
	t.Helper()
	for _, path := range places {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return missing(t, places[0], pkg)
}

func missing(t testing.TB, name, pkg string) string {
	t.Helper()
	if os.Getenv("SKADI_TEST_REQUIRE") == "1" {
		t.Fatalf("%s is not installed (make needs, or apt-get install %s)", name, pkg)
	}
	t.Skipf("%s is not installed (make needs, or apt-get install %s)", name, pkg)
	return ""
}
