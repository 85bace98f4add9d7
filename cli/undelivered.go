package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// undelivered is what `skadi undelivered --json` prints.
type undelivered struct {
	// Waiting counts the events that are still to be told.
	Waiting       int64     `json:"waiting"`
	OldestSeconds float64   `json:"oldest_seconds,omitempty"`
	GivenUp       []givenUp `json:"given_up"`
}

// givenUp is an event that could not be told, and why.
type givenUp struct {
	At      time.Time      `json:"at"`
	Account string         `json:"account"`
	Key     string         `json:"conversation"`
	Why     string         `json:"why"`
	Event   agentapi.Event `json:"event"`
}

func undeliveredCommand() *cobra.Command {
	var asJSON bool
	var limit int
	c := &cobra.Command{
		Use:   "undelivered",
		Short: "List what could not be told to the conversation that asked",
		Long: `Lists the replies that were given up: the channel is gone, it refuses them, or it
failed too often. What they were about is not lost: "skadi jobs show CODE" has it.

Replies that are still tried are only counted.`,
		Example: "  skadi undelivered -c /etc/skadi/skadi.yaml\n  skadi undelivered --limit 100 --json",
		Args:    exactly(),
	}
	db := databaseFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if limit < 1 || limit > maxJobs {
			return usage("--limit must be 1 to %d, not %d", maxJobs, limit)
		}
		o, err := db.open(c.Context(), false)
		if err != nil {
			return err
		}
		defer func() { err = joined(err, o.store.Close) }()
		dead, err := o.store.DeadLetters(c.Context(), job.DefaultSpace, limit)
		if err != nil {
			return err
		}
		waiting, oldest, err := o.store.Backlog(c.Context())
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), wireUndelivered(dead, waiting, oldest))
		}
		now, err := o.store.Now(c.Context())
		if err != nil {
			return err
		}
		if waiting > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "%d still to be told, the oldest for %s\n", waiting, job.Ago(oldest))
		}
		return printTable(c.OutOrStdout(), []string{"GIVEN UP", "ACCOUNT", "CONVERSATION", "ABOUT", "WHY"}, deadRows(dead, now))
	}
	jsonFlag(c, &asJSON)
	c.Flags().IntVar(&limit, "limit", 20, "how many, newest first")
	return c
}

func wireUndelivered(dead []events.DeadLetter, waiting int64, oldest time.Duration) undelivered {
	u := undelivered{Waiting: waiting, OldestSeconds: oldest.Seconds(), GivenUp: make([]givenUp, len(dead))}
	for i, d := range dead {
		account, key := placeOfEvent(d.Event)
		u.GivenUp[i] = givenUp{At: d.At.UTC(), Account: account, Key: key, Why: d.Reason, Event: events.Public(d.Event)}
	}
	return u
}

func deadRows(dead []events.DeadLetter, now time.Time) [][]string {
	rows := make([][]string, len(dead))
	for i, d := range dead {
		account, key := placeOfEvent(d.Event)
		about := oneLine(d.Event.Text, messageColumn)
		if d.Event.Kind != job.EventMessage {
			about = fmt.Sprintf("#%s %s", job.EncodeCode(d.Event.Num), statusText(d.Event.Status, d.Event.Reason))
		}
		rows[i] = []string{ago(d.At, now), account, oneLine(key, 64), about, oneLine(d.Reason, 300)}
	}
	return rows
}

func placeOfEvent(e job.Event) (account, key string) {
	if e.Conversation == nil {
		return "", ""
	}
	return e.Conversation.Account, e.Conversation.Key
}
