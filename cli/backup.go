package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/store/sqlite"
	"github.com/letserverrun/skadi/internal/service"
)

// notOfServers refuses what is only for a database in one file.
func notOfServers(p place, what string) error {
	if p.Driver != config.MySQL {
		return nil
	}
	return usage("%s is on a server, whose own tools %s it: mysqldump --single-transaction, mariadb-backup, or a snapshot; docs/mysql.md says what to mind", p, what)
}

func backupCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database to a file, also while the server runs",
		Long: `Writes the database as it is at one moment to a new file, which is there whole or
not at all. The server goes on meanwhile; its log of changes grows until the
backup is done. The file holds all jobs with their output, and hashes of tokens:
keep it as you keep the database. One that is there already is not overwritten.

A MySQL database is backed up with its server's own tools.`,
		Example: `  skadi backup /var/backups/skadi-$(date +%F).db -c /etc/skadi/skadi.yaml
  skadi backup copy.db --data ./state --json`,
		Args: exactly("FILE"),
	}
	db := databaseFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := db.place()
		if err != nil {
			return err
		}
		if err := notOfServers(p, "back up"); err != nil {
			return err
		}
		if !p.exists() {
			return p.missing()
		}
		ctx, _, stop := service.Interrupts(c.Context())
		defer stop()
		began := time.Now()
		size, err := sqlite.Backup(ctx, p.Path, args[0])
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), map[string]any{"from": p.Path, "file": args[0], "bytes": size, "milliseconds": time.Since(began).Milliseconds()})
		}
		fmt.Fprintf(c.ErrOrStderr(), "backed up %s to %s (%s) in %s\n", p, args[0], byteSize(uint64(max(size, 0))), time.Since(began).Round(time.Millisecond))
		return nil
	}
	jsonFlag(c, &asJSON)
	return c
}

func restoreCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the database, and keep what was there",
		Long: `Checks a file that "skadi backup" made, and puts a copy of it in the place of the
database; the database that was there is kept beside it, with a name of its own.
Stop the server first: while one works on the database, or if the backup is
damaged or of a newer Skadi, nothing is changed. One of an older Skadi is brought
up to date when the server starts.

What was told after the backup may be told again, and jobs made after it are
unknown: agents that report them are answered so, and go on. Tokens that were
revoked after it stay so; those made after it must be made anew, and are named.`,
		Example: "  systemctl stop skadi\n  skadi restore /var/backups/skadi-2026-03-01.db -c /etc/skadi/skadi.yaml",
		Args:    exactly("FILE"),
	}
	db := databaseFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := db.place()
		if err != nil {
			return err
		}
		if err := notOfServers(p, "restore"); err != nil {
			return err
		}
		if p.unnamed && !p.exists() {
			return fmt.Errorf("there is no database at %s to put the backup in the place of; name the place with --data DIR or -c FILE", p.Path)
		}
		if err := p.make(true); err != nil {
			return err
		}
		ctx, _, stop := service.Interrupts(c.Context())
		defer stop()
		r, err := sqlite.Restore(ctx, args[0], p.Path, time.Now())
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), map[string]any{
				"from": args[0], "to": p.Path, "schema": r.Schema.Version, "kept": r.Kept,
				"revoked": r.Tokens.Revoked, "unknown_tokens": r.Tokens.Unknown, "revocations_lost": r.Tokens.Unread,
			})
		}
		fmt.Fprintf(c.ErrOrStderr(), "restored %s from %s\n", p, args[0])
		if r.Kept != "" {
			fmt.Fprintf(c.ErrOrStderr(), "what was there is kept as %s\n", r.Kept)
		}
		sayTokens(c.ErrOrStderr(), r.Tokens)
		return nil
	}
	jsonFlag(c, &asJSON)
	return c
}

// sayTokens says what is to be done about tokens that changed after the backup.
func sayTokens(w io.Writer, since sqlite.TokensSince) {
	if since.Unread {
		fmt.Fprintln(w, "the database before it is gone or cannot be read: tokens that were revoked after the backup are good again; revoke them anew")
	}
	if len(since.Revoked) > 0 {
		fmt.Fprintf(w, "revoked after the backup, and still so: %s\n", strings.Join(since.Revoked, ", "))
	}
	if len(since.Unknown) > 0 {
		fmt.Fprintf(w, "made after the backup, and unknown to it: %s; make them anew with `skadi agents create`, `agents rotate` or `tokens create`\n",
			strings.Join(since.Unknown, ", "))
	}
}
