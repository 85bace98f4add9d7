// Agentd is Skadi's agent for a server: it takes jobs from the Skadi server
// and runs the commands that its YAML file names, and nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/internal/service"
)

// version and commit are set when a release is built.
var version, commit string

// Exit codes. A service manager should not start agentd again after
// exitRemoved: the token will never work again.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitRemoved = 3
)

func main() {
	root := newRoot()
	os.Exit(service.Main(serviceName, []int{exitRemoved}, os.Stderr, func(ctx context.Context, stderr io.Writer) int {
		root.SetErr(stderr)
		return status(stderr, root.ExecuteContext(ctx))
	}))
}

// status prints an error and returns the exit code for it.
func status(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "agentd: %v\n", err)
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "See agentd --help.")
		return exitUsage
	case errors.Is(err, agent.ErrRemoved):
		return exitRemoved
	}
	return exitFailed
}

// usageError is a command line that is not understood.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "agentd",
		Short: "Runs the commands of a YAML file when Skadi says so",
		Long: "Agentd takes jobs from a Skadi server and runs the commands that its YAML file names.\n" +
			"It opens no port: it asks the server over HTTPS.",
		Version:       buildText(),
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("agentd {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, c := range []*cobra.Command{newRun(), newCheck(), newSay()} {
		c.Flags().StringP("config", "c", "agentd.yaml", "the YAML file")
		if c.Args == nil {
			c.Args = noArgs
		}
		root.AddCommand(c)
	}
	root.AddCommand(newService())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.Args = noArgs
	return root
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("%s takes no argument %q", cmd.CommandPath(), args[0])}
	}
	return nil
}

// versionText is the version of a release, or else what the build knows.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	if c := commitText(); c != "" {
		return "devel-" + c
	}
	return "devel"
}

// commitText is the commit that this was built from, or empty.
func commitText() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(len(s.Value), 12)]
			}
		}
	}
	return ""
}

// buildText is the version, and what it was built from and for.
func buildText() string {
	c := commitText()
	if c == "" {
		c = "unknown commit"
	}
	return fmt.Sprintf("%s (%s, %s, %s/%s)", versionText(), c, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
