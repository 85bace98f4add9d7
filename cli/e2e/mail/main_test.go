//go:build unix

package mail

import (
	"os"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

func TestMain(m *testing.M) { os.Exit(programs.Main(m, nil)) }
