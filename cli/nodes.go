package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/httpapi"
	nodes "github.com/letserverrun/skadi/core/node"
)

func nodesCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "nodes",
		Short: "List the servers that share the database",
		Long: `Lists the servers that work on the database: whether each was heard of in the
last 20 seconds, and what it alone does at the moment for all. Of one that
stopped nothing is left; one that died is listed for a day.`,
		Example: "  skadi nodes -c /etc/skadi/skadi.yaml\n  skadi nodes --json",
		Args:    exactly(),
	}
	db := databaseFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		o, err := db.open(c.Context(), false)
		if err != nil {
			return err
		}
		defer func() { err = joined(err, o.store.Close) }()
		all, err := nodes.NewRegistry(nodes.RegistryConfig{Store: o.store}).List(c.Context())
		if err != nil {
			return err
		}
		if asJSON {
			list := agentapi.NodeList{Nodes: make([]agentapi.Node, len(all))}
			for i, n := range all {
				list.Nodes[i] = httpapi.WireNode(n)
			}
			return printJSON(c.OutOrStdout(), list)
		}
		now, err := o.store.Now(c.Context())
		if err != nil {
			return err
		}
		return printTable(c.OutOrStdout(), []string{"HOST", "ADDRESS", "STATE", "LAST SEEN", "STARTED", "VERSION", "DUTIES", "ID"}, nodeRows(all, now))
	}
	jsonFlag(c, &asJSON)
	return c
}

func nodeRows(all []nodes.Status, now time.Time) [][]string {
	rows := make([][]string, len(all))
	for i, n := range all {
		state := "gone"
		if n.Alive {
			state = "alive"
		}
		rows[i] = []string{
			oneLine(n.Host, 64), oneLine(n.Addr, 64), state, ago(n.SeenAt, now), ago(n.StartedAt, now),
			oneLine(n.Version, 64), oneLine(strings.Join(n.Duties, " "), 200), n.ID,
		}
	}
	return rows
}
