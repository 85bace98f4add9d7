package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/httpapi"
	"github.com/letserverrun/skadi/internal/service"
)

// drainTimeout is how long a running job may go on after Ctrl-C. It is longer
// than any job may run; a second Ctrl-C is what ends it sooner.
const drainTimeout = 24 * time.Hour

func upCommand(adapters map[string]chat.Factory) *cobra.Command {
	u := &up{adapters: adapters}
	c := &cobra.Command{
		Use:   "up",
		Short: "Try Skadi here: server, agent and chat in this terminal",
		Long: `Starts a server on this machine alone, with its database in a state folder, an
agent named "local", and a chat in this terminal. Type "help" to see what it can
do, "local hello Ada" to have it done.

Messages may come from a pipe too: each line is one. Then every job is waited
for, and the exit code is 1 if a message was refused or a job did not succeed.

Ctrl-C takes nothing new in and waits for what runs; a second one ends at once.`,
		Example: `  skadi up
  skadi up --data ./state --listen 127.0.0.1:9000
  printf 'local hello Ada\n' | skadi up`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			u.listenGiven = c.Flags().Changed("listen")
			u.in, u.out, u.err = c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr()
			return u.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&u.data, "data", "", "the state folder: database, log, journal; default is the user's own")
	f.StringVar(&u.listen, "listen", "", "the API's address; default 127.0.0.1:8080, or a free port if that is taken")
	f.StringVarP(&u.config, "config", "c", "", "a config file, for adapters and access rules of your own; its database, if it names none, is in --data or else beside it")
	return c
}

// up is one run of `skadi up`.
type up struct {
	data, listen, config string
	listenGiven          bool
	adapters             map[string]chat.Factory

	in       io.Reader
	out, err io.Writer
}

func (u *up) run(ctx context.Context) (err error) {
	dir, err := stateFolder(u.data)
	if err != nil {
		return err
	}
	if err := makeState(dir); err != nil {
		return err
	}
	unlock, err := lockState(dir)
	if err != nil {
		return err
	}
	defer unlock()
	log, closeLog, err := openLog(filepath.Join(dir, logFile))
	if err != nil {
		return err
	}
	defer closeLog()
	cfg, err := u.settings(dir)
	if err != nil {
		return err
	}

	first, second, stop := service.Interrupts(ctx)
	defer stop()
	server, err := u.listenOn(first, cfg, log)
	if err != nil {
		return err
	}
	n, err := newNode(first, cfg, server.Addr().String(), log, owner())
	if err != nil {
		return joined(err, server.Close)
	}
	defer func() { err = joined(err, func() error { return n.close(second) }) }()
	if err := n.addAccounts(u.adapters); err != nil {
		return joined(err, server.Close)
	}
	term, err := addTerminal(n, u.in, u.out)
	if err != nil {
		return joined(err, server.Close)
	}
	n.start()

	serving, endServing := context.WithCancel(second)
	served := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(serving, n.api(false, nil).Handler()); err != nil {
			served <- err
		}
	}()
	defer func() { endServing(); <-ended }()
	local, err := newLocalAgent(first, n, server.URL(), dir, drainTimeout, log)
	if err != nil {
		return err
	}
	running, endRunning := context.WithCancel(second)
	agentEnded := make(chan error, 1)
	go func() { agentEnded <- local.Run(running) }()
	defer endRunning()
	select {
	case <-local.Online():
	case err := <-agentEnded:
		return fmt.Errorf("the agent %s does not run: %w", localAgent, err)
	case <-first.Done():
		return nil
	}

	if term.Interactive() {
		u.welcome(server, cfg, dir)
	}
	receiving, endReceiving := context.WithCancel(first)
	received := make(chan struct{})
	go func() { _ = n.accounts.Run(receiving); close(received) }()
	defer func() { endReceiving(); <-received }()
	select {
	case <-term.Done():
	case err := <-served:
		return fmt.Errorf("the API stopped: %w", err)
	case err := <-agentEnded:
		return fmt.Errorf("the agent %s stopped: %w", localAgent, err)
	}
	endReceiving()
	s := &session{node: n, term: term, err: u.err, hurry: second}
	if term.Interrupted() {
		// That was the first Ctrl-C; in raw mode it is no signal.
		s.hurry = first
	}
	return s.finish(first, endRunning, agentEnded)
}

// settings are the config file's, or the defaults. A database that no file names
// is in the state folder; but that of a file alone is where `skadi serve` has it.
func (u *up) settings(dir string) (*config.Config, error) {
	cfg := config.Default()
	if u.config != "" {
		var err error
		if cfg, err = config.Load(u.config, fit(u.adapters), (*config.Config).CheckCertificate); err != nil {
			return nil, err
		}
		u.listenGiven = u.listenGiven || cfg.Listen != config.Default().Listen
	}
	if u.config == "" || u.data != "" && !cfg.NamesDatabase() {
		cfg.Store.Path = filepath.Join(dir, databaseFile)
	}
	if u.listen != "" {
		cfg.Listen = u.listen
	}
	return cfg, nil
}

// openLog appends to the log file, so that the chat stays clean.
func openLog(path string) (log *slog.Logger, closeLog func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("the log cannot be written: %w", err)
	}
	return slog.New(slog.NewJSONHandler(f, nil)), func() { _ = f.Close() }, nil
}

// listenOn takes the address. A default one that is taken is replaced by a
// free port; one that was asked for is not.
func (u *up) listenOn(ctx context.Context, cfg *config.Config, log *slog.Logger) (*httpapi.Server, error) {
	lc := listenConfig(cfg, log)
	if u.listen != "" || u.config == "" {
		lc.Setting = "--listen"
	}
	server, err := httpapi.Listen(ctx, lc)
	if err == nil || u.listenGiven {
		return server, err
	}
	host, _, splitErr := net.SplitHostPort(lc.Addr)
	if splitErr != nil {
		return nil, err
	}
	lc.Addr = net.JoinHostPort(host, "0")
	server, again := httpapi.Listen(ctx, lc)
	if again != nil {
		return nil, err
	}
	fmt.Fprintf(u.err, "%s is taken, so the API listens on %s\n", cfg.Listen, server.Addr())
	return server, nil
}

// welcome says what to type and where the API is.
func (u *up) welcome(server *httpapi.Server, cfg *config.Config, dir string) {
	fmt.Fprintf(u.out, "Skadi is up. Type %q, or %q to see what else there is; Ctrl-C ends.\n", "local hello Ada", "help")
	fmt.Fprintf(u.out, "The API listens on %s; `skadi tokens create NAME --role admin%s` opens it.\n", server.URL(), u.flag(cfg, dir))
}

// flag is what other commands need to work on the same database.
func (u *up) flag(cfg *config.Config, dir string) string {
	db := &database{config: u.config, data: u.data}
	if u.data != "" && !cfg.NamesDatabase() {
		db.config = ""
	}
	if db.config == "" && db.file() != "" {
		db.data = dir // the file that is here names another
	}
	return db.flag()
}
