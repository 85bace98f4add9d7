//go:build unix

package programs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/internal/throwaway"
)

const module = "github.com/letserverrun/skadi"

// dir is the folder of the programs under test.
var dir string

// Dir returns the folder of the programs under test. Tests may put more there.
func Dir() string { return dir }

// Path returns where a program under test is.
func Path(name string) string { return filepath.Join(dir, name) }

// Main is the body of a TestMain: it builds skadi and agentd, runs the tests and
// returns their exit code. A package that builds them in another way gives
// build, which gets the arguments of a plain go build and returns its own.
func Main(m *testing.M, build func(args []string) ([]string, error)) int {
	tests := throwaway.Wrap(m)
	var err error
	if dir, err = os.MkdirTemp("", "skadi-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	args := append(append([]string{"build"}, BuildFlags...), "-o", dir+string(os.PathSeparator), module, module+"/agentd")
	if build != nil {
		if args, err = build(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil { //nolint:noctx,gosec // ends by itself, and is made above
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return tests.Run()
}

// Environment is this process's, with another home and no setting of Skadi's.
func Environment(home string, more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SKADI_") && !strings.HasPrefix(v, "HOME=") && !strings.HasPrefix(v, "XDG_") {
			env = append(env, v)
		}
	}
	return append(append(env, "HOME="+home), more...)
}

// Skadi runs the command skadi to its end and returns what it printed, without
// the space around it. One that fails ends the test.
func Skadi(t *testing.T, home string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, Path("skadi"), args...) //nolint:gosec // the program under test
	cmd.Env = Environment(home)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("skadi %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}
