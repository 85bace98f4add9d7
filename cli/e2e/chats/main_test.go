//go:build unix

package chats

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/internal/throwaway"
)

func TestMain(m *testing.M) { os.Exit(programs.Main(m, nil)) }

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
	dir = filepath.Join(programs.Dir(), "farside", name)
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
