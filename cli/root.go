package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/internal/service"
)

// Main runs the command line and returns its exit code. The adapters are those
// that a config may name, by their kind; nothing else is linked. A program of
// yours hands in its own besides those of adapters.Factories.
func Main(adapters map[string]chat.Factory, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(adapters)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	return service.Main(serviceName, nil, stderr, func(ctx context.Context, stderr io.Writer) int {
		root.SetErr(stderr)
		err := root.ExecuteContext(ctx)
		code, tell := codeOf(err)
		if tell {
			fmt.Fprintf(stderr, "skadi: %v\n", err)
		}
		return code
	})
}

func newRoot(adapters map[string]chat.Factory) *cobra.Command {
	root := group(&cobra.Command{
		Use:   "skadi",
		Short: "Send a message to an agent on a server, and get its answer back",
		Long: `Skadi turns a message into a job for a named agent on a server of yours, and
brings the answer back to where it was asked.

  skadi up       try it: server, agent and chat in this terminal
  skadi serve    run the server from a config file
  skadi push     send a message from a script or CI, and wait for the result

Exit codes of every command: 0 done, 1 failed, 2 wrong usage or refused.
"skadi push --wait" also tells 3 expired, 4 canceled, 5 no answer in time.`,
		Version:       versionLine(),
		SilenceErrors: true,
		SilenceUsage:  true,
	})
	root.SetVersionTemplate("{{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		hint := fmt.Sprintf("see %q", c.CommandPath()+" --help")
		if c.Name() == "push" && strings.HasPrefix(err.Error(), "unknown") {
			hint = `put -- before a message with flags of its own, as in: skadi push --wait web-1 -- deploy --force`
		}
		return usage("%w; %s", err, hint)
	})
	root.AddCommand(
		upCommand(adapters), serveCommand(adapters), reloadCommand(), doctorCommand(adapters), healthCommand(),
		pushCommand(), jobsCommand(), agentsCommand(), tokensCommand(),
		nodesCommand(), accountsCommand(), undeliveredCommand(), teamsCommand(),
		migrateCommand(), storeCommand(), backupCommand(), restoreCommand(), exportCommand(), serviceCommand(), configCommand(adapters), versionCommand(),
	)
	return root
}

// group makes a command that only holds others: alone it shows its help, and
// an unknown word is an error that names the nearest known one.
func group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return unknownWord(c, args[0])
	}
	return c
}

func unknownWord(c *cobra.Command, word string) error {
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(word); len(near) > 0 {
		return usage("%q is no command of %s; did you mean %q?", word, c.CommandPath(), c.CommandPath()+" "+near[0])
	}
	return usage("%q is no command of %s; see %q", word, c.CommandPath(), c.CommandPath()+" --help")
}

// exactly takes the named arguments and no others.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			missing, verb := names[len(args):], "is"
			if len(missing) > 1 {
				verb = "are"
			}
			return usage("%s %s missing; usage: %s", strings.Join(missing, " and "), verb, c.UseLine())
		case len(args) > len(names) && c.HasSubCommands():
			return unknownWord(c, args[0])
		case len(args) > len(names):
			return usage("%q is too much; usage: %s", args[len(names)], c.UseLine())
		}
		return nil
	}
}

// joined adds what went wrong while cleaning up to err, which comes first.
func joined(err error, closing func() error) error { return errors.Join(err, closing()) }
