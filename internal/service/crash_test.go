package service

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// crashFile names, to a child of this test, the file of its crash.
const crashFile = "SKADI_TEST_CRASH"

// TestCrashIsKept crashes a child, which nobody could catch, and reads why.
func TestCrashIsKept(t *testing.T) {
	if file := os.Getenv(crashFile); file != "" {
		if _, err := keepCrash(file); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); panic("out of luck") }()
		<-done
	}
	file := filepath.Join(t.TempDir(), "crash")
	t.Cleanup(func() { _ = debug.SetCrashOutput(nil, debug.CrashOptions{}) })
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashIsKept$") //nolint:gosec // this program
	child.Env = append(os.Environ(), crashFile+"="+file)
	if out, err := child.CombinedOutput(); err == nil {
		t.Fatalf("it did not crash:\n%s", out)
	}
	for try, want := range []string{"panic: out of luck", ""} {
		earlier, err := keepCrash(file)
		if err != nil || !strings.HasPrefix(earlier, want) || want == "" && earlier != "" {
			t.Errorf("start %d after it finds %q, %v", try+1, earlier, err)
		}
	}
	if _, err := keepCrash(filepath.Join(file, "in-a-file")); err == nil {
		t.Error("a file where none can be is taken")
	}
}
