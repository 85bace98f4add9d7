package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/job"
)

func tokensCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use:   "tokens",
		Short: "Create, list and revoke API tokens",
		Long: `Tokens open the HTTP API. These commands work on the database itself, so the
first token needs no server; a running one knows of a change within a second.
Without -c and --data that is the database of the skadi.yaml that is here, as for
"skadi serve", or else of "skadi up", if there is one.

Roles: admin does everything, push sends what the access rules allow its
principal token:NAME, read sees jobs, agents and events. The tokens of agents
are made with "skadi agents".`,
		Example: `  skadi tokens create ci --role push > ci.token
  skadi tokens list
  skadi tokens revoke ci`,
	})
	db := databaseFlags(c)
	c.AddCommand(tokensCreate(db), tokensList(db), tokensRevoke(db))
	return c
}

func tokensCreate(db *database) *cobra.Command {
	var role string
	var asJSON bool
	c := &cobra.Command{
		Use:   "create NAME --role admin|push|read",
		Short: "Make a token and print it, this once",
		Example: `  skadi tokens create ci --role push > ci.token
  skadi tokens create ops --role admin -c /etc/skadi/skadi.yaml`,
		Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			r := access.Role(role)
			if r != access.RoleAdmin && r != access.RolePush && r != access.RoleRead {
				return usage("--role must be admin, push or read, not %q", role)
			}
			o, err := db.open(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, o.store.Close) }()
			token, err := o.tokens.Create(c.Context(), job.DefaultSpace, args[0], r, "", "")
			if errors.Is(err, access.ErrTokenExists) {
				return usage("there is a token named %q; revoke it first, or choose another name", args[0])
			}
			if err != nil {
				return badName(err)
			}
			if err := o.audit(c.Context(), "token.create", args[0]); err != nil {
				return err
			}
			o.tellToken(c.ErrOrStderr(), args[0])
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]string{"name": args[0], "role": role, "token": token.Reveal()})
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), token.Reveal())
			return err
		},
	}
	c.Flags().StringVar(&role, "role", "", "what the token may do: admin, push or read (required)")
	jsonFlag(c, &asJSON)
	return c
}

// badName gives an error that is not the database's the exit code of wrong
// usage.
func badName(err error) error {
	if errors.Is(err, job.ErrUnavailable) || errors.Is(err, job.ErrFull) {
		return err
	}
	return usage("%w", err)
}

// shownToken is a token as JSON shows it, without any secret.
type shownToken struct {
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	Agent     string     `json:"agent,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

func tokensList(db *database) *cobra.Command {
	var asJSON, all bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the tokens; never the secrets",
		Example: "  skadi tokens list\n  skadi tokens list --all --json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			o, err := db.open(c.Context(), false)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, o.store.Close) }()
			shown, err := liveTokens(c.Context(), o, all)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"tokens": shown})
			}
			now := time.Now()
			rows := make([][]string, 0, len(shown))
			for _, t := range shown {
				revoked := ""
				if t.RevokedAt != nil {
					revoked = ago(*t.RevokedAt, now)
				}
				rows = append(rows, []string{t.Name, t.Role, t.Agent, ago(t.CreatedAt, now), revoked})
			}
			return printTable(c.OutOrStdout(), []string{"NAME", "ROLE", "AGENT", "CREATED", "REVOKED"}, rows)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "show revoked tokens too")
	jsonFlag(c, &asJSON)
	return c
}

func liveTokens(ctx context.Context, o *opened, revokedToo bool) ([]shownToken, error) {
	tokens, err := o.tokens.List(ctx, job.DefaultSpace)
	if err != nil {
		return nil, err
	}
	shown := make([]shownToken, 0, len(tokens))
	for _, t := range tokens {
		s := shownToken{Name: t.Name, Role: string(t.Role), Agent: t.Agent, CreatedAt: t.CreatedAt.UTC()}
		if !t.RevokedAt.IsZero() {
			if !revokedToo {
				continue
			}
			at := t.RevokedAt.UTC()
			s.RevokedAt = &at
		}
		shown = append(shown, s)
	}
	return shown, nil
}

func tokensRevoke(db *database) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "revoke NAME",
		Short:   "Make a token useless",
		Example: "  skadi tokens revoke ci",
		Args:    exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			o, err := db.open(c.Context(), false)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, o.store.Close) }()
			err = o.tokens.Revoke(c.Context(), job.DefaultSpace, args[0])
			if errors.Is(err, access.ErrNoToken) {
				return usage("there is no live token named %q; see `skadi tokens list`", args[0])
			}
			if err != nil {
				return err
			}
			if err := o.audit(c.Context(), "token.revoke", args[0]); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"name": args[0], "revoked": true})
			}
			fmt.Fprintf(c.ErrOrStderr(), "revoked %s\n", args[0])
			return nil
		},
	}
	jsonFlag(c, &asJSON)
	return c
}
