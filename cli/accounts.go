package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/events"
)

func accountsCommand() *cobra.Command {
	r := &remote{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "accounts",
		Short: "List the accounts of a server on Slack and others, and how each does",
		Long: `Lists the accounts of the running server that is asked, with what is wrong with
those that do not work: their token is refused, or they could not reach their far
side for half a minute. Such an account goes on trying by itself, and the others work
meanwhile. Each server has states of its own.

The server's address comes from --server or SKADI_SERVER, the token from
--token-file or SKADI_TOKEN; it takes an admin token. Exit code 1 if an account
does not work.`,
		Example: "  skadi accounts --server https://skadi.example.com --token-file admin.token\n  skadi accounts --json",
		Args:    exactly(),
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		client, err := r.connect("admin")
		if err != nil {
			return err
		}
		all, err := client.Accounts(c.Context())
		if err != nil {
			return notListed(err)
		}
		if asJSON {
			err = printJSON(c.OutOrStdout(), agentapi.AccountList{Accounts: all})
		} else {
			err = printTable(c.OutOrStdout(), []string{"NAME", "KIND", "STATE", "SINCE", "RESTARTS", "ERROR"}, accountRows(all, time.Now()))
		}
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, unwell) {
			return exitWith(exitFailed)
		}
		return nil
	}
	r.flags(c)
	jsonFlag(c, &asJSON)
	return c
}

func unwell(a agentapi.Account) bool { return a.State == string(events.Unhealthy) }

// notListed tells why a server did not list its accounts.
func notListed(err error) error {
	var problem *agentapi.Problem
	if errors.As(err, &problem) && !problem.Temporary() {
		return usage("refused: %w", err)
	}
	return fmt.Errorf("the server did not answer: %w", err)
}

func accountRows(all []agentapi.Account, now time.Time) [][]string {
	rows := make([][]string, len(all))
	for i, a := range all {
		rows[i] = []string{
			a.Name, oneLine(a.Kind, 64), oneLine(a.State, 64), ago(a.Since, now), strconv.Itoa(a.Restarts), oneLine(a.Error, 300),
		}
	}
	return rows
}
