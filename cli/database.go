package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

// database says which database a command works on. It does so beside a
// running server, without asking it.
type database struct {
	config, data string
}

func databaseFlags(c *cobra.Command) *database {
	d := &database{}
	f := c.PersistentFlags()
	f.StringVarP(&d.config, "config", "c", "", "the config file of `serve`, which names the database")
	f.StringVar(&d.data, "data", "", "the state folder of `up`; default is the user's own")
	c.MarkFlagsMutuallyExclusive("config", "data")
	return d
}

// path returns the file of the database.
func (d *database) path() (string, error) {
	if d.config != "" {
		cfg, err := config.Load(d.config)
		if err != nil {
			return "", err
		}
		return cfg.Store.Path, runnable(cfg)
	}
	dir, err := stateFolder(d.data)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, databaseFile), nil
}

// open opens the database, which must exist unless make is set.
func (d *database) open(ctx context.Context, make bool) (*opened, error) {
	path, err := d.path()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if !make {
			return nil, noDatabase(path)
		}
		if err := makeState(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	return openDatabase(ctx, path)
}

func noDatabase(path string) error {
	return fmt.Errorf("there is no database at %s; start `skadi up` or `skadi serve` first, or name another with --data DIR or -c FILE", path)
}

// opened is the database of a command that runs and ends.
type opened struct {
	path    string
	store   *sqlite.Store
	jobs    *job.Service
	tokens  *access.Tokens
	auditor *access.Auditor
}

func openDatabase(ctx context.Context, path string) (*opened, error) {
	log := slog.New(slog.DiscardHandler)
	s, err := sqlite.Open(ctx, sqlite.Config{Path: path, Clock: time.Now, Logger: log})
	if err != nil {
		return nil, err
	}
	return &opened{
		path:    path,
		store:   s,
		jobs:    job.New(job.Config{Store: s, Waker: queue.NewWaker(), Logger: log}),
		tokens:  access.NewTokens(s, time.Now),
		auditor: access.NewAuditor(s, time.Now).WithLogger(log),
	}, nil
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
