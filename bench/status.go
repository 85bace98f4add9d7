package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// counters are what a database server counts of its own work. Those of one job
// say whether commits and statements are shared by many, which is what its
// processor time depends on most.
type counters map[string]int64

// counted are the counters that are shown, with what they are called.
var counted = []struct{ name, title string }{
	{"Com_commit", "commits"},
	{"Questions", "statements"},
	{"Com_select", "SELECT"},
	{"Com_insert", "INSERT"},
	{"Com_update", "UPDATE"},
	{"Com_delete", "DELETE"},
	{"Handler_write", "rows written"},
	{"Handler_update", "updated"},
	{"Handler_delete", "deleted"},
	{"Innodb_data_fsyncs", "fsyncs"},
}

// counters reads what the server has counted so far.
func (m *mariaDB) counters(ctx context.Context) (c counters, err error) {
	c = counters{}
	return c, m.do(ctx, func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SHOW GLOBAL STATUS")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		var name, text string
		for rows.Next() {
			if err := rows.Scan(&name, &text); err != nil {
				return err
			}
			var n int64
			if _, err := fmt.Sscan(text, &n); err == nil {
				c[name] = n
			}
		}
		return rows.Err()
	})
}

// per says what was counted since another reading, for each job.
func (c counters) per(jobs int, before counters) string {
	var parts []string
	for _, one := range counted {
		parts = append(parts, fmt.Sprintf("%s %.3f", one.title, float64(c[one.name]-before[one.name])/float64(max(jobs, 1))))
	}
	return strings.Join(parts, ", ")
}
