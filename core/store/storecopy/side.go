package storecopy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/mysql"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

// side is one of the two databases.
type side struct {
	store.Store
	name    string
	db      *sql.DB
	dialect dialect
	// alone is the lock of the process that works on the database, where it
	// is a file.
	alone chat.Leaser
	// unbundle brings what is to be published into the tables that both kinds
	// have; nil: it is there.
	unbundle func(ctx context.Context) error
	// pasts says that events are also in mysql.PastColumn.
	pasts bool
	close func() error
}

var sqliteDialect = dialect{
	quote: `"`,
	columns: `SELECT t.name, c.name, c.type, 0 FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.hidden = 0 ORDER BY t.name, c.cid`,
	// Only a read makes the snapshot.
	snapshot: []string{`BEGIN`, `SELECT count(*) FROM sqlite_schema`},
	empty:    `DELETE FROM `,
	fit:      func(_ column, s string) string { return s },
}

var mysqlDialect = dialect{
	quote: "`",
	columns: `SELECT table_name, column_name, data_type, COALESCE(character_octet_length, 0) FROM information_schema.columns
		WHERE table_schema = DATABASE() AND COALESCE(generation_expression, '') = '' ORDER BY table_name, ordinal_position`,
	snapshot: []string{`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`, `START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY`},
	empty:    `TRUNCATE TABLE `,
	fit:      func(c column, s string) string { return mysql.Fit(c.dataType, c.length, s) },
}

// sideOf makes a side of an open database.
func sideOf(name string, s store.Store) (*side, error) {
	switch s := s.(type) {
	case *sqlite.Store:
		db, err := s.Raw()
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", name, err)
		}
		return &side{Store: s, name: name, db: db, dialect: sqliteDialect, alone: s.Alone(), close: db.Close}, nil
	case *mysql.Store:
		return &side{Store: s, name: name, db: s.Raw(), dialect: mysqlDialect, unbundle: s.Unbundle, pasts: true, close: func() error { return nil }}, nil
	}
	return nil, fmt.Errorf("%s is a database of a kind that cannot be copied", name)
}

// errWorkedOn: a server works on a database.
var errWorkedOn = errors.New("a server works on the database")

// idle reports errWorkedOn with the server's name unless nobody works on the
// database. A file stays locked against servers from then on.
func (s *side) idle(ctx context.Context) error {
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	all, err := s.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range all {
		if ago := now.Sub(n.SeenAt).Abs(); ago < node.AliveFor {
			return fmt.Errorf("%w: %s on %s, seen %.0f s ago, works on %s: stop it first; one that was killed is taken for gone after %.0f s",
				errWorkedOn, n.Addr, n.Host, ago.Seconds(), s.name, node.AliveFor.Seconds())
		}
	}
	if s.alone == nil {
		return nil
	}
	_, held, err := s.alone.Acquire(ctx, "store copy", node.AliveFor)
	if err != nil {
		return err
	}
	if !held {
		return fmt.Errorf("%w: %s is locked by it: stop it first", errWorkedOn, s.name)
	}
	return nil
}

// markQuery asks whether the database carries the mark of a copy.
const markQuery = `SELECT value FROM settings WHERE name = 'copying'`

// mark returns the mark of a copy into the database that did not end; empty if
// there is none.
func mark(ctx context.Context, db *sql.DB) (text string, err error) {
	err = db.QueryRowContext(ctx, markQuery).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return text, err
}

// Unfinished returns an error if a copy into the database did not come to its
// end, so that nobody works on a part of what there was.
func Unfinished(ctx context.Context, s store.Store) (err error) {
	d, err := sideOf("the database", s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	text, err := mark(ctx, d.db)
	if err == nil && text != "" {
		err = fmt.Errorf("`skadi store copy` into it did not come to its end (%s): run it again, which begins anew", text)
	}
	return err
}
