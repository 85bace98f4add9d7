package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/job"
)

const (
	// completeTime is how long a shell waits for what can be typed.
	completeTime = 2 * time.Second
	// completeJobs is how many jobs, the newest, are offered.
	completeJobs = 50
)

// completer offers words to a shell.
type completer = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// completes asks the database for the words. A shell shows no error, so
// without a database there are none.
func completes(db *database, words func(ctx context.Context, o *opened) ([]string, error)) completer {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), completeTime)
		defer cancel()
		o, err := db.open(ctx, false)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer func() { _ = o.store.Close() }()
		list, err := words(ctx, o)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func completeAgents(db *database) completer {
	return completes(db, func(ctx context.Context, o *opened) (words []string, err error) {
		agents, err := o.jobs.Agents(ctx, job.DefaultSpace)
		for _, a := range agents {
			words = append(words, a.Name)
		}
		return words, err
	})
}

func completeJobCodes(db *database) completer {
	return completes(db, func(ctx context.Context, o *opened) (words []string, err error) {
		jobs, err := o.jobs.Jobs(ctx, job.Filter{Space: job.DefaultSpace, Limit: completeJobs})
		for _, j := range jobs {
			words = append(words, cobra.CompletionWithDesc(j.Code(), j.Agent+" "+oneLine(j.Message, messageColumn)))
		}
		return words, err
	})
}

// completeFlag offers words for a flag, whatever the arguments are.
func completeFlag(c *cobra.Command, flag string, words completer) {
	_ = c.RegisterFlagCompletionFunc(flag, func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return words(c, nil, typed)
	})
}

// completeStatus offers the statuses of jobs.
func completeStatus(c *cobra.Command) {
	_ = c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions([]string{
		string(job.Queuing), string(job.Sent), string(job.Succeeded), string(job.Failed), string(job.Expired), string(job.Canceled),
	}, cobra.ShellCompDirectiveNoFileComp))
}
