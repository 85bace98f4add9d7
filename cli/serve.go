package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/httpapi"
	"github.com/letserverrun/skadi/internal/service"
)

// defaultConfig is the config file of commands that need one.
const defaultConfig = "skadi.yaml"

func serveCommand(adapters map[string]chat.Factory) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server from a config file",
		Long: `Runs the server as the config file says, until Ctrl-C or SIGTERM. It then takes
nothing new in, answers what waits, tells what happened and ends; a second
signal ends it at once. Its log goes to standard error, as log.format says.

SIGHUP, or "skadi reload", has it read the file again: see "skadi reload --help".

The database is brought up to date at the start, unless store.migrate is false;
a SQLite file is made if there is none. While a MySQL server cannot be reached,
the server waits for it, and /readyz answers 503.`,
		Example: `  skadi config check -c /etc/skadi/skadi.yaml
  skadi serve -c /etc/skadi/skadi.yaml`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, fit(adapters), (*config.Config).CheckCertificate)
			if err != nil {
				return err
			}
			level := &slog.LevelVar{}
			return serve(c.Context(), cfg, adapters, &reloader{file: file, level: level, log: newLog(cfg.Log, level, c.ErrOrStderr())})
		},
	}
	c.Flags().StringVarP(&file, "config", "c", defaultConfig, "the config file")
	return c
}

func serve(ctx context.Context, cfg *config.Config, adapters map[string]chat.Factory, r *reloader) (err error) {
	log := r.log
	first, second, stop := service.Interrupts(ctx)
	defer stop()
	// From here on a SIGHUP ends nothing; it waits until there is a node.
	hangups, quiet := hangups()
	defer quiet()
	listeners, err := listenAll(first, cfg, log)
	if err != nil {
		return err
	}
	// Should a listener fail, everything else stops too. The listeners take
	// calls at once, so that /healthz and /readyz tell what is waited for.
	in, end := context.WithCancel(first)
	defer end()
	served := make(chan error, 1)
	go func() {
		defer end()
		served <- listeners.serve(in)
	}()
	n, err := startNode(in, second, cfg, adapters, listeners, log)
	if err != nil {
		end()
		err = errors.Join(err, <-served)
		if first.Err() != nil {
			log.Info("stopped before there was a database to serve")
			return nil
		}
		return err
	}
	defer func() { err = joined(err, func() error { return n.close(second) }) }()

	var beside sync.WaitGroup
	defer beside.Wait()
	defer end()
	beside.Go(func() { _ = n.accounts.Run(in) })
	beside.Go(func() { collectLater(in) })
	r.node = n
	api := n.api(listeners.metrics != nil, r.reload)
	r.api = api
	listeners.open(api)
	beside.Go(func() { r.onSignal(in, hangups) })
	v := currentVersion()
	log.Info("serving", append(listeners.addresses(), "node", n.registry.Self().ID, "version", v.Version, "commit", v.Commit)...)
	defer context.AfterFunc(first, func() { log.Info("stopping: nothing new is taken in") })()
	select {
	case err := <-served:
		return err
	case <-second.Done():
		return errors.New("stopped at once, with requests still open")
	}
}

const (
	// minWait and maxWait bound the time between two tries to open a database
	// that is away.
	minWait = time.Second
	maxWait = 10 * time.Second
)

// startNode starts the node once its database is there, which it waits for as
// long as ctx lasts. What waiting does not mend is an error at once.
func startNode(ctx, hurry context.Context, cfg *config.Config, adapters map[string]chat.Factory, l *listeners, log *slog.Logger) (*node, error) {
	n, err := newNode(ctx, cfg, l.main.Addr().String(), log)
	for wait := minWait; err != nil; wait = min(2*wait, maxWait) {
		if !placeOf(cfg).passing(err) {
			return nil, err
		}
		l.wait(&httpapi.NotReadyError{Parts: map[string]error{partDatabase: err}})
		log.Warn("the server waits for its database; until then /readyz answers 503", "err", err, "next_try_in", wait.String())
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
		n, err = newNode(ctx, cfg, l.main.Addr().String(), log)
	}
	if err := n.addAccounts(adapters); err != nil {
		return nil, joined(err, func() error { return n.close(hurry) })
	}
	n.start()
	return n, nil
}

// pause waits for that long, or for ctx to end.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// listeners are the addresses that a server serves on.
type listeners struct {
	main    *httpapi.Server
	metrics *httpapi.Server // nil if metrics are served with the rest

	mainGate, metricsGate httpapi.Gate
}

// addresses are where they listen, as the log tells it.
func (l *listeners) addresses() []any {
	if l.metrics == nil {
		return []any{"address", l.main.URL()}
	}
	return []any{"address", l.main.URL(), "metrics", l.metrics.URL()}
}

// wait says for what the server waits.
func (l *listeners) wait(missing *httpapi.NotReadyError) {
	l.mainGate.Wait(missing)
	l.metricsGate.Wait(missing)
}

// open lets calls through to the API.
func (l *listeners) open(api *httpapi.API) {
	l.mainGate.Open(api.Handler())
	l.metricsGate.Open(api.Metrics())
}

func listenAll(ctx context.Context, cfg *config.Config, log *slog.Logger) (l *listeners, err error) {
	l = &listeners{}
	lc := listenConfig(cfg, log)
	if l.main, err = httpapi.Listen(ctx, lc); err != nil || cfg.Metrics.Listen == "" {
		return l, err
	}
	lc.Addr, lc.Setting = cfg.Metrics.Listen, "metrics.listen in the config"
	if l.metrics, err = httpapi.Listen(ctx, lc); err != nil {
		return nil, joined(fmt.Errorf("metrics: %w", err), l.main.Close)
	}
	return l, nil
}

// serve serves until ctx ends, or until one of the listeners fails.
func (l *listeners) serve(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	if l.metrics == nil {
		return l.main.Serve(ctx, &l.mainGate)
	}
	failed := make(chan error, 1)
	go func() {
		defer end()
		failed <- l.metrics.Serve(ctx, &l.metricsGate)
	}()
	err := l.main.Serve(ctx, &l.mainGate)
	end()
	return errors.Join(err, <-failed)
}

// newLog logs as the config says.
func newLog(cfg config.Log, level *slog.LevelVar, w io.Writer) *slog.Logger {
	setLevel(level, cfg)
	options := &slog.HandlerOptions{Level: level}
	return slog.New(service.Handler(w, cfg.Format == "json", options))
}

// setLevel leaves a level as it is that is none; the config has checked it.
func setLevel(level *slog.LevelVar, cfg config.Log) { _ = level.UnmarshalText([]byte(cfg.Level)) }

func listenConfig(cfg *config.Config, log *slog.Logger) httpapi.ListenConfig {
	return httpapi.ListenConfig{
		Addr: cfg.Listen, Cert: cfg.TLS.Cert, Key: cfg.TLS.Key,
		TrustedProxies: cfg.TrustedProxies, Logger: log,
	}
}
