package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/config/strictyaml"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/mysql"
	"github.com/letserverrun/skadi/core/store/sqlite"
	"github.com/letserverrun/skadi/core/store/storecopy"
	"github.com/letserverrun/skadi/internal/service"
)

func storeCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use:     "store",
		Short:   "Copy a database to another one",
		Example: "  skadi store copy --from sqlite:/var/lib/skadi/skadi.db --to config:/etc/skadi/skadi.yaml",
	})
	c.AddCommand(storeCopy())
	return c
}

func storeCopy() *cobra.Command {
	s := &storeCopying{}
	c := &cobra.Command{
		Use:   "copy --from DATABASE --to DATABASE",
		Short: "Take everything from one database to a new one, say from SQLite to MySQL",
		Long: `Copies all jobs with their history and output, agents, tokens, the audit log and
what is still to be told, and compares the numbers of rows at the end. Codes of
jobs stay, and go on where they were. The source is not changed.

A DATABASE is one of

  sqlite:PATH      a file
  config:FILE      what store says in a config file
  mysql:@FILE      what stands in a file, as user:password@tcp(host:3306)/name
  mysql:DSN        that itself, where ${env:NAME} and ${file:PATH} are replaced;
                   put it in single quotes. A password is not taken, since
                   others on this machine could see it

The target's schema is made if need be, and nothing else may be in it. Stop the
servers on the source first. If the copy breaks off, no server starts on what
there is of the target; run it again, and it begins anew.`,
		Example: `  skadi store copy --from sqlite:/var/lib/skadi/skadi.db --to config:/etc/skadi/skadi.yaml
  skadi store copy --from sqlite:skadi.db --to mysql:@/run/secrets/mysql_dsn
  skadi store copy --from sqlite:skadi.db --to 'mysql:skadi:${env:DB_PASSWORD}@tcp(db:3306)/skadi'`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			s.out, s.err = c.OutOrStdout(), c.ErrOrStderr()
			return s.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&s.from, "from", "", "the database to copy (required)")
	f.StringVar(&s.to, "to", "", "the database to make of it (required)")
	f.BoolVar(&s.running, "even-if-running", false, "copy although a server works on the source; what it does meanwhile is not copied")
	jsonFlag(c, &s.json)
	return c
}

// storeCopying is one run of `skadi store copy`.
type storeCopying struct {
	from, to string
	running  bool
	json     bool
	out, err io.Writer
}

func (s *storeCopying) run(ctx context.Context) (err error) {
	from, err := databaseNamed("--from", s.from)
	if err != nil {
		return err
	}
	to, err := databaseNamed("--to", s.to)
	if err != nil {
		return err
	}
	if from.same(to) {
		return usage("--from and --to name the same database, %s", from)
	}
	ctx, _, stop := service.Interrupts(ctx)
	defer stop()
	if err := from.readable(ctx); err != nil {
		return err
	}
	source, err := from.bare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = joined(err, source.Close) }()
	if err := storecopy.Unfinished(ctx, source); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if _, err := to.migrate(ctx); err != nil {
		return err
	}
	target, err := to.bare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = joined(err, target.Close) }()

	p := &printedProgress{w: s.err}
	begin := time.Now()
	r, err := storecopy.Copy(ctx, storecopy.Config{
		From: source, To: target, FromName: from.String(), ToName: to.String(), Running: s.running, Progress: p.show,
	})
	if err != nil {
		return fmt.Errorf("%s is not copied: %w", from, err)
	}
	if s.json {
		return printJSON(s.out, map[string]any{
			"from": from.String(), "to": to.String(), "tables": len(r.Tables), "rows": r.Rows(), "milliseconds": time.Since(begin).Milliseconds(),
		})
	}
	_, err = fmt.Fprintf(s.out, "copied %d rows of %d tables from %s to %s in %s, and counted them there\n",
		r.Rows(), len(r.Tables), from, to, time.Since(begin).Round(time.Millisecond))
	return err
}

// databaseNamed reads a database as it is named on the command line.
func databaseNamed(flag, name string) (place, error) {
	kind, rest, _ := strings.Cut(name, ":")
	switch {
	case name == "":
		return place{}, usage("%s is missing: name a database, as in %s sqlite:skadi.db", flag, flag)
	case rest == "":
	case kind == config.SQLite:
		return fileAt(rest), nil
	case kind == "config":
		cfg, err := config.Load(rest)
		if err != nil {
			return place{}, err
		}
		return place{Store: cfg.Store}, nil
	case kind == config.MySQL:
		return serverNamed(flag, rest)
	}
	return place{}, usage("%s names no database: write sqlite:PATH, config:FILE, mysql:@FILE or mysql:DSN", flag)
}

// serverNamed reads what follows mysql:. No error shows any of it.
func serverNamed(flag, text string) (place, error) {
	lookup := strictyaml.System()
	if path, ok := strings.CutPrefix(text, "@"); ok {
		text = "${file:" + path + "}"
	}
	dsn, err := lookup.Expand(text)
	if err != nil {
		return place{}, usage("%s: %w", flag, err)
	}
	if typed, err := driver.ParseDSN(text); dsn == text && err == nil && typed.Passwd != "" {
		return place{}, usage("%s has a password in it, which others on this machine can see: put it into a file and write mysql:@FILE, or write ${env:NAME} for it", flag)
	}
	s := config.Store{Driver: config.MySQL, DSN: chat.Secret(dsn), Migrate: true}
	if err := s.Validate(); err != nil {
		return place{}, usage("%s: the address of the database %w", flag, detailOf(err))
	}
	return place{Store: s}, nil
}

// detailOf leaves the key of the config out of an error of its validation.
func detailOf(err error) error {
	_, detail, found := strings.Cut(err.Error(), ": ")
	if !found {
		return err
	}
	return errors.New(detail)
}

// same reports whether both are the same database, as far as can be seen.
func (p place) same(q place) bool {
	if p.Driver != q.Driver {
		return false
	}
	if p.Driver == config.MySQL {
		return p.String() == q.String()
	}
	a, err := os.Stat(p.Path)
	b, err2 := os.Stat(q.Path)
	return err == nil && err2 == nil && os.SameFile(a, b)
}

// readable refuses a source that is not there or not up to date: it is not
// for a copy to change it.
func (p place) readable(ctx context.Context) error {
	if !p.exists() {
		return usage("there is no database at %s to copy: name another with --from", p)
	}
	s, err := p.schema(ctx)
	if err != nil {
		return err
	}
	if s.Version != s.Newest {
		err := s.Err()
		if err == nil {
			err = errors.New("it is of a newer Skadi: copy it with that one")
		}
		return fmt.Errorf("%s cannot be copied as it is: %w", p, err)
	}
	return nil
}

// bare opens a database whose schema is as it should be, whatever is in it.
func (p place) bare(ctx context.Context) (store.Store, error) {
	log := slog.New(slog.DiscardHandler)
	if p.Driver == config.MySQL {
		return mysql.Open(ctx, mysql.Config{DSN: p.DSN, Partitions: p.partitions, Logger: log})
	}
	return sqlite.Open(ctx, sqlite.Config{Path: p.Path, Partitions: p.partitions, Clock: time.Now, Logger: log})
}

// printedProgress says about once a second, and at the end of each table, how
// far a copy is.
type printedProgress struct {
	w    io.Writer
	last time.Time
}

func (p *printedProgress) show(now storecopy.Progress) {
	done := now.Rows == now.Total
	if now.Total == 0 || !done && (now.Rows == 0 || time.Since(p.last) < time.Second) {
		return
	}
	p.last = time.Now()
	fmt.Fprintf(p.w, "%-20s %d of %d\n", now.Table, now.Rows, now.Total)
}
