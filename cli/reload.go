package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/httpapi"
	"github.com/letserverrun/skadi/core/job"
)

// reloader reads the config of a server again. node and api are set before
// anything can ask for that.
type reloader struct {
	file  string
	level *slog.LevelVar
	log   *slog.Logger

	node *node
	api  *httpapi.API
}

// onSignal reloads on each SIGHUP until ctx ends.
func (r *reloader) onSignal(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-hangups:
			_, _ = r.reload(ctx) // it is logged
		case <-ctx.Done():
			return
		}
	}
}

// reload reads the file and applies all that can change now, or nothing if
// anything in it is wrong. What it does is logged, without any value.
func (r *reloader) reload(context.Context) (agentapi.Reloaded, error) {
	n := r.node
	n.reloads.Lock()
	defer n.reloads.Unlock()
	done, err := n.reload(r.file)
	if err != nil {
		r.log.Error("the config is not reloaded; the server works on as before", "file", r.file, "err", err)
		return done, &httpapi.RefusedError{Err: err}
	}
	setLevel(r.level, n.cfg.Log)
	r.api.LimitBodies(int64(n.cfg.Limits.Body))
	for _, w := range n.cfg.Warnings() {
		r.log.Warn("worth a second look in the config", "what", w)
	}
	r.log.Info("the config is reloaded", "file", r.file, "applied", done.Applied, "restart_needed_for", done.Restart,
		"added", done.Added, "changed", done.Changed, "removed", done.Removed)
	return done, nil
}

// reload is called with n.reloads held. Everything that can fail comes before
// the first thing that changes.
func (n *node) reload(file string) (agentapi.Reloaded, error) {
	done := agentapi.Reloaded{Node: n.registry.Self().ID}
	next, err := config.Load(file, fit(n.adapters))
	if err != nil {
		return done, err
	}
	policy, err := access.New(next.Access, n.owners...)
	if err != nil {
		return done, err
	}
	change := n.cfg.ChangeTo(next)
	made, err := n.makeAccounts(next, append(names(change.Added), change.Changed...))
	if err != nil {
		return done, err
	}
	if err := n.kept(change).with(made).fits(change.Next); err != nil {
		return done, err
	}
	outgoing, err := newCalls(change.Next)
	if err != nil {
		return done, err
	}
	n.cfg = change.Next
	if slices.Contains(change.Live, "callbacks") {
		n.callbacks.set(outgoing)
		n.replier.Renew(job.CallbackAccount)
	}
	n.places.Apply(n.cfg.Channels, n.cfg.Alerts)
	n.policy.Store(policy)
	n.jobs.Apply(n.cfg.JobTimes(), n.cfg.JobLimits(), n.cfg.Retention.Jobs)
	if err := n.swap(made, change.Removed); err != nil {
		return done, err
	}
	done.Applied, done.Restart = names(change.Live), names(change.Restart)
	done.Added, done.Changed, done.Removed = names(change.Added), names(change.Changed), names(change.Removed)
	return done, nil
}

// kept are the adapters that stay as they are when the config changes.
func (n *node) kept(change config.Change) made {
	all := made{}
	for _, a := range change.Next.Adapters {
		if adapter, ok := n.accounts.Adapter(a.Name); ok && !slices.Contains(change.Changed, a.Name) {
			all[a.Name] = adapter
		}
	}
	return all
}

// swap begins accounts that are new or changed, and ends others. An account
// may take its time to end, so none waits for another.
func (n *node) swap(made []events.Account, removed []string) error {
	var all sync.WaitGroup
	for _, name := range removed {
		n.mounts.put(name, nil)
		all.Go(func() { n.accounts.Remove(name) })
	}
	errs := make([]error, len(made))
	for i, a := range made {
		n.mounts.put(a.Name, a.Adapter)
		all.Go(func() {
			if !n.accounts.Replace(a) {
				errs[i] = n.accounts.Add(a)
			}
			n.replier.Renew(a.Name)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// names is a list that JSON shows as [] when it is empty.
func names(list []string) []string { return append([]string{}, list...) }

func reloadCommand() *cobra.Command {
	r := &remote{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have a running server read its config again",
		Long: `Has the server that is asked read its config file again, and the secrets that
the file refers to. What can change while it runs holds at once: accounts that are
new, changed or gone, public_url, callbacks, access rules, times, limits, retention
and log.level. An account that did not change is not disturbed; of one that did, what
it is sending is sent to the end. The keys that need a restart are named.

A file with an error is refused as a whole, and the server works on as before.
SIGHUP does the same and tells the log alone. Of several servers on one database
only the one that is asked reloads.

The server's address comes from --server or SKADI_SERVER, the token from
--token-file or SKADI_TOKEN; it takes an admin token. Exit code 1 if the file is
refused.`,
		Example: "  skadi reload --server https://skadi.example.com --token-file admin.token\n  skadi reload --json\n  systemctl reload skadi",
		Args:    exactly(),
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		client, err := r.connect("admin")
		if err != nil {
			return err
		}
		done, err := client.Reload(c.Context())
		if err != nil {
			return notReloaded(err)
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), done)
		}
		return printReloaded(c.OutOrStdout(), done)
	}
	r.flags(c)
	jsonFlag(c, &asJSON)
	return c
}

// notReloaded tells why a server did not reload.
func notReloaded(err error) error {
	var problem *agentapi.Problem
	switch {
	case errors.As(err, &problem) && problem.Type == agentapi.ProblemBadConfig:
		return fmt.Errorf("the config is refused, and the server works on as before:\n%w", err)
	case errors.As(err, &problem) && !problem.Temporary():
		return usage("refused: %w", err)
	}
	return fmt.Errorf("the server did not answer: %w", err)
}

func printReloaded(w io.Writer, done agentapi.Reloaded) error {
	said := false
	for _, line := range []struct {
		what string
		list []string
	}{
		{"applied", done.Applied},
		{"accounts added", done.Added},
		{"accounts begun again", done.Changed},
		{"accounts removed", done.Removed},
		{"needs a restart", done.Restart},
	} {
		if len(line.list) > 0 {
			said = true
			fmt.Fprintf(w, "%s: %s\n", line.what, oneLine(strings.Join(line.list, ", "), 2000))
		}
	}
	if !said {
		fmt.Fprintln(w, "nothing has changed")
	}
	return nil
}
