package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

func migrateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date, or say how far it is",
		Long: `The server brings its database up to date by itself when it starts. These
commands do so before, or only look. A database that a newer Skadi has written is
refused, never changed.`,
		Example: `  skadi migrate -c /etc/skadi/skadi.yaml
  skadi migrate status`,
	}
	db := databaseFlags(c)
	up := migrateUp(db)
	c.Args, c.RunE = exactly(), up.RunE
	c.AddCommand(up, migrateStatus(db))
	return c
}

func migrateUp(db *database) *cobra.Command {
	return &cobra.Command{
		Use:     "up",
		Short:   "Bring the schema up to date",
		Example: "  skadi migrate up -c /etc/skadi/skadi.yaml",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := db.open(c.Context(), true)
			if err != nil {
				return err
			}
			if err := o.store.Close(); err != nil {
				return err
			}
			s, err := sqlite.SchemaOf(c.Context(), o.path)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is up to date: version %d\n", o.path, s.Version)
			return err
		},
	}
}

func migrateStatus(db *database) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "status",
		Short:   "Say how far the schema is, and change nothing; exit code 1 if it is behind",
		Example: "  skadi migrate status\n  skadi migrate status --json -c /etc/skadi/skadi.yaml",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			path, s, err := db.schema(c.Context())
			if err != nil {
				return err
			}
			state, code := "up to date", exitOK
			switch {
			case s.Version < s.Newest:
				state, code = "behind: run `skadi migrate`, or start the server", exitFailed
			case s.Version > s.Newest:
				state, code = "of a newer Skadi: run that one", exitFailed
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), map[string]any{"path": path, "version": s.Version, "newest": s.Newest, "state": state})
			} else {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s: version %d of %d, %s\n", path, s.Version, s.Newest, state)
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

func (d *database) schema(ctx context.Context) (path string, s store.Schema, err error) {
	if path, err = d.path(); err != nil {
		return "", s, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return path, s, noDatabase(path)
	}
	s, err = sqlite.SchemaOf(ctx, path)
	return path, s, err
}
