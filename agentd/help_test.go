package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryCommandHasHelp holds that each has a description and an example
// that names it.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Hidden || sub.Name() == "help" {
				continue
			}
			if sub.Short == "" || strings.HasSuffix(sub.Short, ".") {
				t.Errorf("%q: its description is %q", sub.CommandPath(), sub.Short)
			}
			if !strings.Contains(sub.Example, sub.CommandPath()) {
				t.Errorf("%q has no example of it:\n%s", sub.CommandPath(), sub.Example)
			}
			out, errs, err := execute(t.Context(), append(strings.Fields(sub.CommandPath())[1:], "--help")...)
			if err != nil || !strings.Contains(out, sub.Example) || errs != "" {
				t.Errorf("%s --help: %q, %q, %v", sub.CommandPath(), out, errs, err)
			}
			walk(sub)
		}
	}
	walk(newRoot())
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out, _, err := execute(t.Context(), "completion", shell); err != nil || !strings.Contains(out, "agentd") {
			t.Errorf("%s: %.200q, %v", shell, out, err)
		}
	}
}
