//go:build unix

package cluster

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

func TestMain(m *testing.M) { os.Exit(programs.Main(m, withRoom)) }

// withRoom has the worker built too, and skadi with one more adapter than the
// list says, as somebody's own build of it would.
func withRoom(args []string) ([]string, error) {
	list, err := filepath.Abs("../../../adapters/adapters.go")
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	const anchor = `terminal.Factory,`
	more := strings.Replace(string(text), anchor, anchor+"\n\t\t\"room\": room.Factory,", 1)
	more = strings.Replace(more, "import (", "import (\n\t\"github.com/letserverrun/skadi/cli/e2e/cluster/room\"", 1)
	if strings.Count(more, "room.Factory") != 1 {
		return nil, errors.New("adapters.go has another form than these tests know")
	}
	own := filepath.Join(programs.Dir(), "adapters.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{list: own}})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(programs.Dir(), "overlay.json")
	if err := errors.Join(os.WriteFile(own, []byte(more), 0o600), os.WriteFile(file, overlay, 0o600)); err != nil {
		return nil, err
	}
	return append(slices.Insert(args, 1, "-overlay", file), "./worker"), nil
}
