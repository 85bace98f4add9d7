//go:build unix

package agent_test

import (
	"os"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/agentd/agent/agenttest"
)

func TestStateFolderOthersCanWriteIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	a := agentOf(t, agenttest.New(), dir)
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("got %v", err)
	}
}
