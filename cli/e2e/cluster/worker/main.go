// Command worker is an agent within a service of somebody's own, for tests that
// have more jobs run than processes could be started. It notes each job in a
// file before anything else, and says done.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/letserverrun/skadi/agentd/agent"
)

func main() {
	var cfg agent.Config
	flag.StringVar(&cfg.Server, "server", "", "the server's address")
	flag.StringVar(&cfg.TokenFile, "token-file", "", "the file with the agent's token")
	flag.StringVar(&cfg.StateDir, "state", "", "the folder of the journal")
	flag.IntVar(&cfg.Concurrency, "concurrency", 0, "how many jobs run at once")
	runs := flag.String("runs", "", "the file that gets the ID of each job that begins to run")
	figures := flag.String("figures", "", "the address that /metrics is served at")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cfg, *runs, *figures); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cfg agent.Config, runs, figures string) error {
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	noted, err := os.OpenFile(runs, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = noted.Close() }()
	a, err := agent.New(cfg)
	if err != nil {
		return err
	}
	a.Handle("run", func(_ context.Context, j *agent.Job) (agent.Result, error) {
		// One write, which other processes do not tear.
		if _, err := noted.WriteString(j.ID + "\n"); err != nil {
			return agent.Result{}, err
		}
		return agent.Result{Output: "done " + j.Args}, nil
	})
	ctx, cancel := context.WithCancelCause(ctx)
	server := &http.Server{Addr: figures, Handler: http.HandlerFunc(goroutines), ReadHeaderTimeout: time.Second}
	go func() { cancel(server.ListenAndServe()) }()
	err = a.Run(ctx)
	return errors.Join(err, server.Close())
}

// goroutines answers as Prometheus' own client for Go does.
func goroutines(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "go_goroutines %d\n", runtime.NumGoroutine())
}
