//go:build unix

package chats

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/internal/throwaway"
)

// patience is how long a test waits for something that should come soon.
// Nothing is judged by it.
const patience = time.Minute

// bin is the folder of the programs under test, and of what npm installs.
var bin string

func TestMain(m *testing.M) { os.Exit(run(throwaway.Wrap(m))) }

func run(m throwaway.Runner) int {
	dir, err := os.MkdirTemp("", "skadi-chats-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	args := append([]string{"build"}, buildFlags...)
	build := exec.Command("go", append(args, "-o", dir+string(os.PathSeparator), "../../..", "../../../agentd")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// installs are the far sides that are ready to run, by name.
var installs struct {
	sync.Mutex
	failed map[string]error
}

// install copies the folder farside/NAME and has npm install what its lock file
// says, once for all tests. Without npm or its registry the test is skipped,
// or fails with SKADI_TEST_REQUIRE=1.
func install(t *testing.T, name string) (dir string) {
	t.Helper()
	npm := throwaway.Program(t, "npm", "npm")
	installs.Lock()
	defer installs.Unlock()
	dir = filepath.Join(bin, "farside", name)
	err, tried := installs.failed[name]
	if !tried {
		err = throwaway.InstallNPM(npm, filepath.Join("farside", name), dir)
		if installs.failed == nil {
			installs.failed = map[string]error{}
		}
		installs.failed[name] = err
	}
	switch {
	case err == nil:
		return dir
	case os.Getenv("SKADI_TEST_REQUIRE") == "1":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return ""
}

// environment is this process's, with another home and no setting of Skadi's.
func environment(home string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SKADI_") && !strings.HasPrefix(v, "HOME=") && !strings.HasPrefix(v, "XDG_") {
			env = append(env, v)
		}
	}
	return append(env, "HOME="+home)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// eventually fails the test if try does not succeed at last.
func eventually(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		pause(ctx, 20*time.Millisecond)
		if ctx.Err() != nil {
			t.Fatalf("waited too long for %s: %v", what, err)
		}
	}
}
