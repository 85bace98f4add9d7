package cli

import (
	"slices"
	"testing"

	"github.com/spf13/cobra"
)

// unlisted are the commands that have nothing to print as JSON: two talk, the
// schema is JSON as it is, and so are the lines of an export.
var unlisted = []string{"skadi up", "skadi serve", "skadi config schema", "skadi export"}

func TestEveryCommandPrintsJSON(t *testing.T) {
	t.Parallel()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.HasSubCommands() || c.Name() == "help" || slices.Contains(unlisted, c.CommandPath()) {
			return
		}
		if c.Flags().Lookup("json") == nil {
			t.Errorf("%q has no --json", c.CommandPath())
		}
	}
	walk(newRoot(nil))
}
