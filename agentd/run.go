package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/agentd/settings"
	"github.com/letserverrun/skadi/internal/service"
)

// sameSignal is longer in a test.
var sameSignal = service.SameSignal

func newRun() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Take jobs and run them until told to stop",
		Long: "Run takes jobs and runs them. SIGTERM or Ctrl-C lets running jobs finish for the drain_timeout\n" +
			"of the file, then stops them; a second one ends agentd at once.\n\n" +
			"It ends with 3 when the agent was removed on the server, and with 1 after other errors.",
		Example: "  agentd run -c /etc/skadi/agentd.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := load(cmd)
			if err != nil {
				return err
			}
			return run(cmd.Context(), s, cmd.ErrOrStderr())
		},
	}
}

func load(cmd *cobra.Command) (*settings.Settings, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	return settings.Load(path)
}

func run(ctx context.Context, s *settings.Settings, stderr io.Writer) error {
	log := newLog(s, stderr)
	if service.Managed(ctx) {
		// Windows starts services in a folder of its own; systemd in this one.
		if err := enter(s.StateDir); err != nil {
			return err
		}
	}
	for _, w := range append(s.Warnings(), missing(s)...) {
		log.Warn(w)
	}
	a, err := newAgent(s, log)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// With the handler gone, a second signal ends the process; until then, one is
	// taken for the first.
	same := sameSignal
	defer context.AfterFunc(ctx, func() { time.AfterFunc(same, stop) })()
	go func() {
		select {
		case <-a.Online():
			log.Info("online: jobs reach this agent")
		case <-ctx.Done():
		}
	}()
	log.Info("agentd starts", "version", versionText(), "server", s.Server, "commands", len(s.Specs()), "concurrency", s.Concurrency)
	if err := a.Run(ctx); err != nil {
		return err
	}
	log.Info("agentd has stopped")
	return nil
}

// enter goes into the folder, which it makes if there is none.
func enter(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	return os.Chdir(dir)
}

// newAgent makes the agent that the file describes.
func newAgent(s *settings.Settings, log *slog.Logger) (*agent.Agent, error) {
	drain := s.DrainTimeout
	if drain == 0 {
		drain = -1 // the file's 0 means at once
	}
	a, err := agent.New(agent.Config{
		Server: s.Server, Token: s.Token.Reveal(), TokenFile: s.TokenFile, StateDir: s.StateDir,
		Concurrency: s.Concurrency, Version: "agentd " + versionText(), DrainTimeout: drain,
		OutputLimit: int(s.OutputLimit), Redact: s.Secrets(), Logger: log,
	})
	if err != nil {
		return nil, err
	}
	for _, spec := range s.Specs() {
		spec.Register(a)
	}
	return a, nil
}

func newLog(s *settings.Settings, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Log.Level)) // one of the file's four
	options := &slog.HandlerOptions{Level: level}
	log := slog.New(service.Handler(w, s.Log.Format == "json", options))
	if s.Name != "" {
		log = log.With("agent", s.Name)
	}
	return log
}
