package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/mysql"
)

func migrateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date, or say how far it is",
		Long: `The server brings its database up to date by itself when it starts, unless
store.migrate is false. These commands do so before, or only look. On MySQL, up
needs the right to make and change tables, which the server then does without.

A step only adds to a schema, so servers of the version before go on beside
those of this one. A database that a newer Skadi has written is never changed.`,
		Example: `  skadi migrate -c /etc/skadi/skadi.yaml
  skadi migrate status`,
	}
	db := databaseFlags(c)
	up := migrateUp(db)
	c.Args, c.RunE = exactly(), up.RunE
	c.Flags().AddFlag(up.Flags().Lookup("json"))
	c.AddCommand(up, migrateStatus(db))
	return c
}

func migrateUp(db *database) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "up",
		Short:   "Bring the schema up to date",
		Example: "  skadi migrate up -c /etc/skadi/skadi.yaml",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := db.place()
			if err != nil {
				return err
			}
			s, err := p.migrate(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printSchema(c.OutOrStdout(), p, s)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is up to date: version %d\n", p, s.Version)
			return err
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// migrate brings the schema up to date, whatever store.migrate says.
func (p place) migrate(ctx context.Context) (s store.Schema, err error) {
	if p.Driver == config.MySQL {
		if err := mysql.Migrate(ctx, p.DSN, slog.New(slog.DiscardHandler)); err != nil {
			return s, err
		}
		return p.schema(ctx)
	}
	if err := p.make(true); err != nil {
		return s, err
	}
	b, err := p.bare(ctx) // opening a file brings it up to date
	if err != nil {
		return s, err
	}
	if err := b.Close(); err != nil {
		return s, err
	}
	return p.schema(ctx)
}

// schemaState is what `migrate` prints as JSON.
type schemaState struct {
	Database string `json:"database"`
	Version  int64  `json:"version"`
	Newest   int64  `json:"newest"`
	State    string `json:"state"`
}

func printSchema(w io.Writer, p place, s store.Schema) error {
	state, _ := p.stateOf(s)
	return printJSON(w, schemaState{Database: p.String(), Version: s.Version, Newest: s.Newest, State: state})
}

func migrateStatus(db *database) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "status",
		Short:   "Say how far the schema is, and change nothing; exit code 1 if this program cannot use it",
		Example: "  skadi migrate status\n  skadi migrate status --json -c /etc/skadi/skadi.yaml",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := db.place()
			if err != nil {
				return err
			}
			s, err := p.schema(c.Context())
			if err != nil {
				return err
			}
			state, code := p.stateOf(s)
			if asJSON {
				err = printSchema(c.OutOrStdout(), p, s)
			} else {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s: version %d of %d, %s\n", p, s.Version, s.Newest, state)
			}
			if err != nil {
				return err
			}
			return exitWith(code)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (p place) stateOf(s store.Schema) (state string, code int) {
	switch {
	case s.Version < s.Newest && p.Migrate:
		return "behind: run `" + p.migrateUp() + "`, or start the server", exitFailed
	case s.Version < s.Newest:
		return "behind: run `" + p.migrateUp() + "`", exitFailed
	case s.Err() != nil:
		return "of a newer Skadi: run that one", exitFailed
	case s.Version > s.Newest:
		return "of a newer Skadi, and of use to this one too", exitOK
	}
	return "up to date", exitOK
}
