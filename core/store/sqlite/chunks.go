package sqlite

import (
	"strings"

	"github.com/letserverrun/skadi/core/store/row"
)

// chunkSizes are how many rows one INSERT takes. Larger ones gain nothing.
var chunkSizes = [...]int{32, 8, 1}

// chunks is an INSERT of any number of rows, in statements of a few sizes.
type chunks struct {
	columns int
	queries [len(chunkSizes)]*query
}

// newChunks is for package-level variables only.
func newChunks(insert string, columns int) *chunks {
	c := &chunks{columns: columns}
	values := "(?" + strings.Repeat(",?", columns-1) + ")"
	for i, n := range chunkSizes {
		c.queries[i] = newQuery(insert + values + strings.Repeat(","+values, n-1))
	}
	return c
}

// exec inserts the rows whose values follow each other in args.
func (c *chunks) exec(t *tx, args []any) error {
	for i, n := range chunkSizes {
		for size := n * c.columns; len(args) >= size; args = args[size:] {
			if _, err := t.exec(c.queries[i], args[:size]...); err != nil {
				return err
			}
		}
	}
	return nil
}

// jsonList is how a list is given to json_each.
func jsonList[T int | int64 | string](list []T) string { return row.JSONText(list) }
