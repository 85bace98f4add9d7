package cli

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/adapters"
)

// walkCommands calls f for every command that people see.
func walkCommands(c *cobra.Command, f func(*cobra.Command)) {
	if c.Name() == "help" || c.Hidden {
		return
	}
	f(c)
	for _, sub := range c.Commands() {
		walkCommands(sub, f)
	}
}

// TestEveryCommandHasHelp holds that each has a description and an example
// that names it.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	root := newRoot(adapters.Factories())
	walkCommands(root, func(c *cobra.Command) {
		if c == root {
			return
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%q: its description is %q", c.CommandPath(), c.Short)
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%q has no example of it:\n%s", c.CommandPath(), c.Example)
		}
	})
}

// TestHelpAndErrorsGoWhereTheyBelong holds that what was asked for is on
// standard output, and what went wrong on standard error.
func TestHelpAndErrorsGoWhereTheyBelong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args string
		code int
	}{
		{"--version", 0},
		{"--help", 0},
		{"jobs --help", 0},
		{"completion bash", 0},
		{"completion zsh", 0},
		{"completion fish", 0},
		{"completion powershell", 0},
		{"jbos", exitUsage},
		{"jobs --no-such-flag", exitUsage},
		{"jobs show", exitUsage},
		{"backup", exitUsage},
		{"export --limit -1", exitUsage},
		{"serve -c /nowhere/skadi.yaml", exitFailed},
	} {
		var out, errs bytes.Buffer
		code := Main(adapters.Factories(), strings.Fields(tc.args), strings.NewReader(""), &out, &errs)
		said, silent := &out, &errs
		if tc.code != 0 {
			said, silent = &errs, &out
		}
		if code != tc.code || said.Len() == 0 || silent.Len() != 0 {
			t.Errorf("skadi %s: code %d\nstdout: %.200s\nstderr: %.200s", tc.args, code, out.String(), errs.String())
		}
	}
	var out bytes.Buffer
	Main(adapters.Factories(), []string{"--version"}, strings.NewReader(""), &out, &out)
	if !regexp.MustCompile(`^skadi \S+ \(.+, go\S+, \w+/\w+\)\n$`).MatchString(out.String()) {
		t.Errorf("--version says %q", out.String())
	}
}

// TestExitCodesAreDocumented holds the table of docs/exit-codes.md against
// the codes that there are.
func TestExitCodesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []int
	for _, m := range regexp.MustCompile(`(?m)^\| ([0-9]+) \|`).FindAllStringSubmatch(string(page), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, n)
	}
	if want := []int{exitOK, exitFailed, exitUsage, exitExpired, exitCanceled, exitNoAnswer}; !slices.Equal(told, want) {
		t.Errorf("docs/exit-codes.md tells of %v, there are %v", told, want)
	}
	source, err := os.ReadFile("exit.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(regexp.MustCompile(`(?m)^\texit\w+ += [0-9]`).FindAll(source, -1)); n != len(told) {
		t.Errorf("exit.go has %d codes, and the page %d", n, len(told))
	}
}

// TestCompletion types names of agents and codes of jobs as a shell does.
func TestCompletion(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	var out, errs bytes.Buffer
	if code := Main(adapters.Factories(), []string{"agents", "create", "web-1", "--data", data}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	for args, want := range map[string]string{
		"agents remove --data " + data + " ":       "web-1\n",
		"agents remove --data " + data + " web-1 ": ":4",
		"jobs --data " + data + " --agent ":        "web-1\n",
		"jobs --data " + data + " --status ":       "succeeded\n",
		"jobs why --data " + data + "/none ":       ":4",
		"reloa":                                    "reload",
	} {
		out.Reset()
		Main(adapters.Factories(), append([]string{"__complete"}, strings.Split(args, " ")...), strings.NewReader(""), &out, &errs)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q offers %q, want %q in it", args, out.String(), want)
		}
	}
}
