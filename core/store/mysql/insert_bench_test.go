package mysql

import (
	"database/sql/driver"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// BenchmarkInsert inserts jobs, 100 in one statement, in the ways that there
// are to hand over the values.
func BenchmarkInsert(b *testing.B) {
	const rows = 100
	dsn := chat.Secret(throwaway.NewMariaDB(b, "--innodb-flush-log-at-trx-commit=0").Database(b))
	s := openTest(b, Config{DSN: dsn})
	text := `INSERT INTO jobs (` + insertColumns + `) VALUES ` + rowsOf(rows, insertWidth)
	next := int64(0)
	values := func() (args []any) {
		for range rows {
			next++
			args = append(args, next, uuid.Must(uuid.NewV7()).String(), "default", "web-1", "queuing", "", "", int64(1),
				next, int64(0), next, "token", "", "ci", "ci", "", "", "deploy v1.2.3 to production")
		}
		return args
	}
	var kept driver.Stmt
	for name, run := range map[string]func(t *tx) error{
		"interpolated": func(t *tx) error {
			_, err := t.exec(text, values()...)
			return err
		},
		"prepared each time": func(t *tx) error {
			stmt, err := t.conn.driver.Prepare(text)
			if err != nil {
				return err
			}
			defer func() { _ = stmt.Close() }()
			return execPrepared(t, stmt, values())
		},
		"prepared once": func(t *tx) (err error) {
			if kept == nil {
				if kept, err = t.conn.driver.Prepare(text); err != nil {
					return err
				}
			}
			return execPrepared(t, kept, values())
		},
	} {
		b.Run(name, func(b *testing.B) {
			kept = nil
			var failed error
			// In one transaction, on one connection.
			err := s.write(b.Context(), 1, func(t *tx) error {
				for b.Loop() {
					if failed = run(t); failed != nil {
						break
					}
				}
				return nil
			})
			if err != nil || failed != nil {
				b.Fatal(err, failed)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*rows), "µs/row")
		})
	}
}

func execPrepared(t *tx, stmt driver.Stmt, args []any) error {
	execer, ok := stmt.(driver.StmtExecContext)
	if !ok {
		return fmt.Errorf("%T takes no context", stmt)
	}
	_, err := execer.ExecContext(t.conn.ctx, t.conn.bound(args))
	return err
}
