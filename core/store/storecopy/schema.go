package storecopy

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/store/mysql"
)

// stays are the tables that are not copied: those of the servers that run on
// a database, and what a database keeps for itself.
var stays = map[string]bool{
	"goose_db_version": true, // each schema has versions of its own
	"nodes":            true, // a server on the source is none on the target
	"leases":           true, // nor are its leases; no guard of the source reaches the target
	"writers":          true, // of MySQL: what became of unanswered commits
	"schema_lock":      true, // of MySQL: who migrates
	"outbox":           true, // of MySQL: empty when the copy begins
}

// kind is what a column holds.
type kind int

const (
	integer kind = iota
	text
	bytes
)

type column struct {
	name string
	kind kind
	// dataType and length are MySQL's.
	dataType string
	length   int64
}

// table is a table as one of the databases has it.
type table struct {
	name    string
	columns []column
}

func (t table) column(name string) (column, bool) {
	i := slices.IndexFunc(t.columns, func(c column) bool { return c.name == name })
	if i < 0 {
		return column{}, false
	}
	return t.columns[i], true
}

// dialect is what is not the same in both kinds of database.
type dialect struct {
	quote string
	// columns returns table, column, type and length of all columns that can
	// be written, in the order of the schema.
	columns string
	// snapshot begins a transaction that goes on seeing the database as it is.
	snapshot []string
	// empty removes all rows of a table.
	empty string
	fit   func(c column, s string) string
}

func (d dialect) name(s string) string { return d.quote + s + d.quote }

func (d dialect) names(columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = d.name(c)
	}
	return strings.Join(quoted, ", ")
}

func kindOf(dataType string) (kind, bool) {
	switch strings.ToLower(dataType) {
	case "integer", "bigint", "int", "smallint", "tinyint":
		return integer, true
	case "text", "varchar", "char", "mediumtext", "longtext", "tinytext":
		return text, true
	case "blob", "varbinary", "binary", "longblob", "mediumblob":
		return bytes, true
	}
	return 0, false
}

// tables reads the schema of a database.
func (d dialect) tables(ctx context.Context, db *sql.DB) (map[string]table, error) {
	rows, err := db.QueryContext(ctx, d.columns)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := map[string]table{}
	for rows.Next() {
		var in string
		var c column
		if err := rows.Scan(&in, &c.name, &c.dataType, &c.length); err != nil {
			return nil, fmt.Errorf("read the schema: %w", err)
		}
		if stays[in] || in == "jobs" && c.name == mysql.PastColumn {
			continue // see copying.pasts
		}
		kind, known := kindOf(c.dataType)
		if !known {
			return nil, fmt.Errorf("column %s of table %s has the type %s, which no copy knows", c.name, in, c.dataType)
		}
		c.kind = kind
		all[in] = table{name: in, columns: append(all[in].columns, c)}
	}
	return all, rows.Err()
}

// match holds two schemas against each other and returns the tables to copy,
// in an order that does not change.
func match(from, to map[string]table) ([]table, error) {
	names := slices.Sorted(maps.Keys(from))
	if there := slices.Sorted(maps.Keys(to)); !slices.Equal(names, there) {
		return nil, fmt.Errorf("the databases have different tables: %s in the source, %s in the target", without(names, there), without(there, names))
	}
	all := make([]table, len(names))
	for i, name := range names {
		all[i] = from[name]
		if here, there := sortedColumns(from[name]), sortedColumns(to[name]); !slices.Equal(here, there) {
			return nil, fmt.Errorf("the databases have different columns in table %s: %s in the source, %s in the target",
				name, without(here, there), without(there, here))
		}
	}
	return all, nil
}

func sortedColumns(t table) []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	slices.Sort(names)
	return names
}

// without says what is in a and not in b.
func without(a, b []string) string {
	only := slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	if len(only) == 0 {
		return "nothing more"
	}
	return strings.Join(only, ", ")
}
