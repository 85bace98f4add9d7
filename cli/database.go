package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
)

// database says which database a command works on. It does so beside a
// running server, without asking it.
type database struct {
	config, data string
}

func databaseFlags(c *cobra.Command) *database {
	d := &database{}
	f := c.PersistentFlags()
	f.StringVarP(&d.config, "config", "c", "", "the config `FILE` of skadi serve, which names the database; default is skadi.yaml, if that is here")
	f.StringVar(&d.data, "data", "", "the state folder (`DIR`) of skadi up; without this and a config, the user's own")
	return d
}

// file is the config that names the database: that of the command line or, if
// this names no database, the one that is here, as `skadi serve` takes it.
func (d *database) file() string {
	if d.config == "" && d.data == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			return defaultConfig
		}
	}
	return d.config
}

// flag is what another command needs to work on the same database.
func (d *database) flag() string {
	if file := d.file(); file != "" {
		return " -c " + file
	}
	if d.data != "" {
		return " --data " + d.data
	}
	return ""
}

// place returns where the database is.
func (d *database) place() (place, error) {
	if d.config != "" && d.data != "" {
		return place{}, usage("-c %s and --data %s name two databases: give one of them", d.config, d.data)
	}
	if file := d.file(); file != "" {
		cfg, err := config.Load(file)
		if err != nil {
			return place{}, err
		}
		return placeOf(cfg), nil
	}
	dir, err := stateFolder(d.data)
	if err != nil {
		return place{}, err
	}
	p := fileAt(filepath.Join(dir, databaseFile))
	p.unnamed = d.data == ""
	return p, nil
}

// fileAt is a database in one file.
func fileAt(path string) place {
	return place{Store: config.Store{Driver: config.SQLite, Path: path, Migrate: true}}
}

// open opens the database, which must exist unless make is set.
func (d *database) open(ctx context.Context, make bool) (*opened, error) {
	p, err := d.place()
	if err != nil {
		return nil, err
	}
	if err := p.make(make); err != nil {
		return nil, err
	}
	return openDatabase(ctx, p)
}

// make sees to it that the database is there or, if may is set, can be made.
// One that nobody has named is not made: it would hardly be the one that is
// meant.
func (p place) make(may bool) error {
	switch {
	case p.exists():
		return nil
	case !may || p.unnamed:
		return p.missing()
	default:
		return makeState(filepath.Dir(p.Path))
	}
}

// missing says what makes a database that is not there.
func (p place) missing() error {
	if !p.Migrate {
		return fmt.Errorf("there is no database at %s, and store.migrate is false: make it with `%s`, or name another with --data DIR or -c FILE", p.Path, p.migrateUp())
	}
	return fmt.Errorf("there is no database at %s; start `skadi up` or `skadi serve` first, or name another with --data DIR or -c FILE", p.Path)
}

// opened is the database of a command that runs and ends.
type opened struct {
	store   *base
	jobs    *job.Service
	tokens  *access.Tokens
	auditor *access.Auditor
}

func openDatabase(ctx context.Context, p place) (*opened, error) {
	log := slog.New(slog.DiscardHandler)
	b, err := p.open(ctx, log)
	if err != nil {
		return nil, err
	}
	return &opened{
		store:   b,
		jobs:    job.New(job.Config{Store: b, Waker: queue.NewWaker(), Logger: log}),
		tokens:  access.NewTokens(b, time.Now),
		auditor: access.NewAuditor(b, time.Now).WithLogger(log),
	}, nil
}

// tellToken says on standard error for which database a token is, which is good
// for nothing elsewhere.
func (o *opened) tellToken(w io.Writer, name string) {
	p := o.store.place
	if abs, err := filepath.Abs(p.Path); p.Driver != config.MySQL && err == nil {
		p.Path = abs
	}
	fmt.Fprintf(w, "the token of %s is for %s\n", name, p)
}

// audit records what was done from the command line. Whoever can open the
// database needs no permission, but leaves a trace.
func (o *opened) audit(ctx context.Context, action, target string) error {
	_, err := o.auditor.Record(ctx, access.Record{
		Space: job.DefaultSpace, Who: commandLine, Name: userName(),
		Action: action, Target: target, Allowed: true, Why: "on the server's own command line",
	})
	return err
}

// commandLine is the principal of who runs skadi on the server itself.
const commandLine = "skadi:cli"
