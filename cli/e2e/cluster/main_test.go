//go:build unix

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/internal/throwaway"
)

// patience is how long a test waits for something that should come soon.
// Nothing is judged by it.
const patience = 3 * time.Minute

// bin is the folder of the programs under test.
var bin string

func TestMain(m *testing.M) { os.Exit(run(throwaway.Wrap(m))) }

func run(m throwaway.Runner) int {
	dir, err := os.MkdirTemp("", "skadi-cluster-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds skadi, agentd and the worker. skadi has one more adapter than the list
// says, as somebody's own build of it would.
func build(dir string) error {
	list, err := filepath.Abs("../../../adapters/adapters.go")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	const anchor = `terminal.Factory,`
	more := strings.Replace(string(text), anchor, anchor+"\n\t\t\"room\": room.Factory,", 1)
	more = strings.Replace(more, "import (", "import (\n\t\"github.com/letserverrun/skadi/cli/e2e/cluster/room\"", 1)
	if strings.Count(more, "room.Factory") != 1 {
		return errors.New("adapters.go has another form than these tests know")
	}
	own := filepath.Join(dir, "adapters.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{list: own}})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := errors.Join(os.WriteFile(own, []byte(more), 0o600), os.WriteFile(file, overlay, 0o600)); err != nil {
		return err
	}
	args := append([]string{"build", "-overlay", file}, buildFlags...)
	cmd := exec.Command("go", append(args, "-o", dir+string(os.PathSeparator), "../../..", "../../../agentd", "./worker")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
