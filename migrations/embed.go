// Package migrations holds the schemas of the databases that Skadi keeps its
// state in, as steps for goose. A step that was released is never changed:
// the next one follows it.
package migrations

import "embed"

// SQLite has the steps for SQLite in its folder sqlite.
//
//go:embed sqlite/*.sql
var SQLite embed.FS

// MySQL has the steps for MySQL and MariaDB in its folder mysql.
//
//go:embed mysql/*.sql
var MySQL embed.FS
