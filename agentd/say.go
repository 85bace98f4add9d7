package main

import (
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// maxSaid is how much of standard input is said, in bytes. The server takes
// 64 KiB unless its config says otherwise.
const maxSaid = 1 << 20

func newSay() *cobra.Command {
	return &cobra.Command{
		Use:   "say CHANNEL TEXT...",
		Short: "Say something in a channel that the server lets this agent speak in",
		Long: "Say says the text in a channel, by the name that it has in the server's config: channels.NAME.agents\n" +
			"there lists the agents that may. With - as the text it says what it reads from standard input.\n" +
			"It works beside agentd run, with the same file.",
		Example: "  agentd say -c /etc/skadi/agentd.yaml ops the backup is done\n  df -h | agentd say ops -",
		Args:    cobra.ArbitraryArgs, // textOf looks at them
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := textOf(cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			s, err := load(cmd)
			if err != nil {
				return err
			}
			a, err := newAgent(s, newLog(s, cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if err := a.Say(ctx, args[0], text); err != nil {
				return fmt.Errorf("not said in %s: %w", args[0], err)
			}
			return nil
		},
	}
}

// textOf is what is to be said.
func textOf(in io.Reader, args []string) (string, error) {
	if len(args) < 2 {
		return "", &usageError{errors.New("say takes a channel and a text")}
	}
	if len(args) > 2 || args[1] != "-" {
		return strings.Join(args[1:], " "), nil
	}
	data, err := io.ReadAll(io.LimitReader(in, maxSaid+1))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	if len(data) > maxSaid {
		return "", fmt.Errorf("standard input has more than %d bytes, which is too much to say", maxSaid)
	}
	return strings.TrimRight(string(data), "\n"), nil
}
