package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/httpapi"
)

// defaultConfig is the config file of commands that need one.
const defaultConfig = "skadi.yaml"

func serveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server from a config file",
		Long: `Runs the server as the config file says, until Ctrl-C or SIGTERM. It then takes
nothing new in, answers what waits, tells what happened and ends; a second
signal ends it at once. Its log goes to standard error, as log.format says.

The database is made, and brought up to date, at the start.`,
		Example: `  skadi config check -c /etc/skadi/skadi.yaml
  skadi serve -c /etc/skadi/skadi.yaml`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return serve(c.Context(), cfg, newLog(cfg.Log, c.ErrOrStderr()))
		},
	}
	c.Flags().StringVarP(&file, "config", "c", defaultConfig, "the config file")
	return c
}

func serve(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	first, second, stop := interrupts(ctx)
	defer stop()
	listeners, err := listenAll(first, cfg, log)
	if err != nil {
		return err
	}
	n, err := newNode(first, cfg, log)
	if err != nil {
		return joined(err, listeners.close)
	}
	if err := n.addAccounts(); err != nil {
		return joined(joined(err, listeners.close), func() error { return n.close(second) })
	}
	n.start()
	defer func() { err = joined(err, func() error { return n.close(second) }) }()

	// Should a listener fail, everything else stops too.
	in, end := context.WithCancel(first)
	defer end()
	served := make(chan error, 1)
	go func() {
		var beside sync.WaitGroup
		beside.Go(func() { _ = n.accounts.Run(in) })
		beside.Go(func() { collectLater(in) })
		err := listeners.serve(in, n.api(listeners.metrics != nil))
		end()
		beside.Wait()
		served <- err
	}()
	v := currentVersion()
	log.Info("serving", "address", listeners.main.URL(), "version", v.Version, "commit", v.Commit)
	defer context.AfterFunc(first, func() { log.Info("stopping: nothing new is taken in") })()
	select {
	case err := <-served:
		return err
	case <-second.Done():
		return errors.New("stopped at once, with requests still open")
	}
}

// listeners are the addresses that a server serves on.
type listeners struct {
	main    *httpapi.Server
	metrics *httpapi.Server // nil if metrics are served with the rest
}

func listenAll(ctx context.Context, cfg *config.Config, log *slog.Logger) (l *listeners, err error) {
	l = &listeners{}
	lc := listenConfig(cfg, log)
	if l.main, err = httpapi.Listen(ctx, lc); err != nil || cfg.Metrics.Listen == "" {
		return l, err
	}
	lc.Addr = cfg.Metrics.Listen
	if l.metrics, err = httpapi.Listen(ctx, lc); err != nil {
		return nil, joined(fmt.Errorf("metrics: %w", err), l.main.Close)
	}
	return l, nil
}

// close gives the addresses back without serving.
func (l *listeners) close() error {
	if l.metrics == nil {
		return l.main.Close()
	}
	return errors.Join(l.main.Close(), l.metrics.Close())
}

// serve serves until ctx ends, or until one of the listeners fails.
func (l *listeners) serve(ctx context.Context, api *httpapi.API) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	if l.metrics == nil {
		return l.main.Serve(ctx, api.Handler())
	}
	failed := make(chan error, 1)
	go func() {
		defer end()
		failed <- l.metrics.Serve(ctx, api.Metrics())
	}()
	err := l.main.Serve(ctx, api.Handler())
	end()
	return errors.Join(err, <-failed)
}

// newLog logs as the config says.
func newLog(cfg config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo // the config has checked it
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func listenConfig(cfg *config.Config, log *slog.Logger) httpapi.ListenConfig {
	return httpapi.ListenConfig{
		Addr: cfg.Listen, Cert: cfg.TLS.Cert, Key: cfg.TLS.Key,
		TrustedProxies: cfg.TrustedProxies, Logger: log,
	}
}
