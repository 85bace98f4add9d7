package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/httpapi"
	"github.com/letserverrun/skadi/core/job"
)

func agentsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "agents",
		Short: "List, create and remove agents, and renew their tokens",
		Long: `An agent is a name that messages are sent to, and a token by which the program
that answers to it proves itself. These commands work on the database itself; a
running server knows of a change within a second.

Without -c and --data that is the database of the skadi.yaml that is here, as for
"skadi serve", or else of "skadi up". "create" makes a database that -c or --data
names if there is none yet.`,
		Example: `  skadi agents
  skadi agents create web-1 > web-1.token
  skadi agents rotate web-1 > web-1.token
  skadi agents remove web-1`,
	}
	db := databaseFlags(c)
	list := agentsList(db)
	c.Args, c.RunE = exactly(), list.RunE
	c.Flags().AddFlag(list.Flags().Lookup("json"))
	c.AddCommand(list, agentsCreate(db))
	for _, sub := range []*cobra.Command{agentsRotate(db), agentsRemove(db)} {
		sub.ValidArgsFunction = completeAgents(db)
		c.AddCommand(sub)
	}
	return c
}

func agentsList(db *database) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the agents",
		Example: "  skadi agents list\n  skadi agents list --json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			o, err := db.open(c.Context(), false)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, o.store.Close) }()
			agents, err := o.jobs.Agents(c.Context(), job.DefaultSpace)
			if err != nil {
				return err
			}
			now := time.Now()
			if asJSON {
				list := agentapi.AgentList{Agents: make([]agentapi.Agent, 0, len(agents))}
				for _, a := range agents {
					list.Agents = append(list.Agents, httpapi.WireAgent(a, o.jobs.Online(a, now)))
				}
				return printJSON(c.OutOrStdout(), list)
			}
			rows := make([][]string, 0, len(agents))
			for _, a := range agents {
				state := "offline"
				if o.jobs.Online(a, now) {
					state = "online"
				}
				if !a.PausedAt.IsZero() {
					state += ", paused"
				}
				rows = append(rows, []string{a.Name, state, ago(a.LastSeenAt, now), fmt.Sprint(len(a.Commands)), oneLine(a.Version, 64)})
			}
			return printTable(c.OutOrStdout(), []string{"NAME", "STATE", "LAST SEEN", "COMMANDS", "VERSION"}, rows)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func agentsCreate(db *database) *cobra.Command {
	return tokenCommand(db, &cobra.Command{
		Use:   "create NAME",
		Short: "Make an agent and print its token, this once",
		Example: `  skadi agents create web-1 > web-1.token
  skadi agents create web-1 -c /etc/skadi/skadi.yaml`,
	}, "agent.create", true, func(ctx context.Context, o *opened, name string) (chat.Secret, error) {
		a, err := o.jobs.CreateAgent(ctx, job.DefaultSpace, name)
		if errors.Is(err, job.ErrExists) {
			return "", usage("there is an agent named %q; `skadi agents rotate %s%s` gives it a new token", name, name, db.flag())
		}
		if err != nil {
			return "", invalidIsUsage(err)
		}
		return o.tokens.Rotate(ctx, job.DefaultSpace, a.ID, a.Name)
	})
}

func agentsRotate(db *database) *cobra.Command {
	return tokenCommand(db, &cobra.Command{
		Use:     "rotate NAME",
		Short:   "Give an agent a new token and print it; the old one ends",
		Example: "  skadi agents rotate web-1 > web-1.token",
	}, "agent.rotate", false, func(ctx context.Context, o *opened, name string) (chat.Secret, error) {
		a, err := o.jobs.Agent(ctx, job.DefaultSpace, name)
		if err != nil {
			return "", noSuchAgent(err, name)
		}
		return o.tokens.Rotate(ctx, job.DefaultSpace, a.ID, a.Name)
	})
}

// tokenCommand completes a command that prints an agent's token alone.
func tokenCommand(db *database, c *cobra.Command, action string, makes bool,
	token func(ctx context.Context, o *opened, name string) (chat.Secret, error),
) *cobra.Command {
	var asJSON bool
	c.Args = exactly("NAME")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		o, err := db.open(c.Context(), makes)
		if err != nil {
			return err
		}
		defer func() { err = joined(err, o.store.Close) }()
		secret, err := token(c.Context(), o, args[0])
		if err != nil {
			return err
		}
		if err := o.audit(c.Context(), action, args[0]); err != nil {
			return err
		}
		o.tellToken(c.ErrOrStderr(), args[0])
		if asJSON {
			return printJSON(c.OutOrStdout(), agentapi.AgentToken{Name: args[0], Token: secret.Reveal()})
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), secret.Reveal())
		return err
	}
	jsonFlag(c, &asJSON)
	return c
}

func agentsRemove(db *database) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove an agent: it takes no more jobs, and what waits for it is canceled",
		Example: "  skadi agents remove web-1",
		Args:    exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			o, err := db.open(c.Context(), false)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, o.store.Close) }()
			ctx, name := c.Context(), args[0]
			if err := o.jobs.RemoveAgent(ctx, job.DefaultSpace, name, commandLine); err != nil {
				return noSuchAgent(err, name)
			}
			// Its token stays: it is good for nothing now, but the daemon that
			// still polls with it is told why (410).
			if err := o.audit(ctx, "agent.remove", name); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"name": name, "removed": true})
			}
			fmt.Fprintf(c.ErrOrStderr(), "removed %s\n", name)
			return nil
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func noSuchAgent(err error, name string) error {
	if errors.Is(err, job.ErrNotFound) || errors.Is(err, job.ErrUnknownAgent) {
		return usage("there is no agent named %q; see `skadi agents`", name)
	}
	return err
}

// invalidIsUsage gives the error of a bad value the exit code of wrong usage.
func invalidIsUsage(err error) error {
	var invalid *job.InvalidError
	if errors.As(err, &invalid) {
		return usage("%w", err)
	}
	return err
}
