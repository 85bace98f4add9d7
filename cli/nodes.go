package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
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
			oneLine(n.Version, 64), oneLine(dutiesText(n.Duties), 200), n.ID,
		}
	}
	return rows
}

// dutiesText lists duties by name, and those that are numbered, such as
// replies/7, together and in order: relay replies/0-2,7 sweep.
func dutiesText(duties []string) string {
	numbers := map[string][]int{}
	for _, duty := range duties {
		name, number, numbered := strings.Cut(duty, "/")
		n, err := strconv.Atoi(number)
		switch {
		case !numbered:
			numbers[name] = nil
		case err != nil || n < 0:
			numbers[duty] = nil
		default:
			numbers[name+"/"] = append(numbers[name+"/"], n)
		}
	}
	words := slices.Sorted(maps.Keys(numbers))
	for i, name := range words {
		words[i] += ranges(numbers[name])
	}
	return strings.Join(words, " ")
}

// ranges writes numbers as in 0-2,7.
func ranges(numbers []int) string {
	slices.Sort(numbers)
	var b strings.Builder
	for i := 0; i < len(numbers); i++ {
		first := numbers[i]
		for i+1 < len(numbers) && numbers[i+1] == numbers[i]+1 {
			i++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, first)
		if last := numbers[i]; last > first {
			fmt.Fprintf(&b, "-%d", last)
		}
	}
	return b.String()
}
