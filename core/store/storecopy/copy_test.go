package storecopy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/mysql"
	"github.com/letserverrun/skadi/core/store/sqlite"
	"github.com/letserverrun/skadi/internal/throwaway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(throwaway.Wrap(m)) }

func openSQLite(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "skadi.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openMySQL(t *testing.T) *mysql.Store {
	t.Helper()
	s, err := mysql.Open(t.Context(), mysql.Config{DSN: chat.Secret(throwaway.MariaDB(t).Database(t)), Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func sideFor(t *testing.T, s store.Store) *side {
	t.Helper()
	d, err := sideOf("the database", s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.close() })
	return d
}

func exec(t *testing.T, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// fill puts rows into every table of a fresh database, whatever tables there
// are, so that one which is new is in the test too.
func fill(t *testing.T, s store.Store, rows int) {
	t.Helper()
	d := sideFor(t, s)
	tables, err := d.dialect.tables(t.Context(), d.db)
	if err != nil {
		t.Fatal(err)
	}
	for name, table := range tables {
		if kept[name] != "" {
			continue
		}
		var names, marks []string
		for _, c := range table.columns {
			names, marks = append(names, c.name), append(marks, "?")
		}
		for i := range rows {
			var values []any
			for _, c := range table.columns {
				values = append(values, value(c, i))
			}
			exec(t, d.db, `INSERT INTO `+d.dialect.name(name)+` (`+d.dialect.names(names)+`) VALUES (`+strings.Join(marks, ", ")+`)`, values...)
		}
	}
	exec(t, d.db, `UPDATE sequences SET value = 4711 WHERE name = 'job'`)
}

// value is of the column's type, and another one in each row. Some are what
// is easily spoiled.
func value(c column, i int) any {
	switch {
	case c.name == "exit_code" && i%2 == 0:
		return nil
	case c.name == "first":
		return int64(i + 1) // that of untold.seq
	case c.kind == integer && slices.Contains([]string{"kind", "allowed", "refused"}, c.name):
		return int64(1)
	case c.kind == integer:
		return int64(i + 1)
	case c.kind == bytes && c.dataType == "BLOB":
		return []byte{0, 0xff, '\'', '\\', byte(i), byte(i >> 8)}
	case c.name == "message" || c.name == "output" || c.name == "value":
		return fmt.Sprintf("%d: Grüße 🚀 ' \" \\ \x00 %% ${x}\r\n ", i) + strings.Repeat("x", i%7*1000)
	}
	return fmt.Sprintf("v%d ", i)
}

// contents returns all rows as text, by table.
func contents(t *testing.T, s store.Store) map[string][]string {
	t.Helper()
	d := sideFor(t, s)
	tables, err := d.dialect.tables(t.Context(), d.db)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for name, table := range tables {
		columns := sortedColumns(table)
		all[name] = rowsOf(t, d, `SELECT `+d.dialect.names(columns)+` FROM `+d.dialect.name(name)+kept[name])
	}
	return all
}

func rowsOf(t *testing.T, d *side, query string) (all []string) {
	t.Helper()
	rows, err := d.db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		cells := make([]sql.NullString, len(columns))
		dest := make([]any, len(columns))
		for i := range cells {
			dest[i] = &cells[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		shown := make([]string, len(cells))
		for i, c := range cells {
			if shown[i] = "NULL"; c.Valid {
				shown[i] = strconv.Quote(c.String)
			}
		}
		all = append(all, strings.Join(shown, " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func copyAll(t *testing.T, c Config) (Result, error) {
	t.Helper()
	c.FromName, c.ToName, c.batchRows = "the source", "the target", 7
	return Copy(t.Context(), c)
}

// TestThereAndBack takes every kind of row to MySQL and back to SQLite.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	const rows = 40
	here, there, again := openSQLite(t), openMySQL(t), openSQLite(t)
	fill(t, here, rows)
	want := contents(t, here)

	progress := map[string]Progress{}
	r, err := copyAll(t, Config{From: here, To: there, Progress: func(p Progress) { progress[p.Table] = p }})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, contents(t, there)); diff != "" {
		t.Fatalf("(-sqlite +mysql):\n%s", diff)
	}
	if _, err := copyAll(t, Config{From: there, To: again}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, contents(t, again)); diff != "" {
		t.Fatalf("(-before +after):\n%s", diff)
	}
	for _, s := range []store.Store{there, again} {
		if err := Unfinished(t.Context(), s); err != nil {
			t.Error(err)
		}
	}
	// Numbers of events go on, and none is used twice.
	if got := rowsOf(t, sideFor(t, again), `SELECT value FROM sequences WHERE name = 'outbox'`); !slices.Equal(got, []string{fmt.Sprintf(`"%d"`, rows)}) {
		t.Errorf("the sequence of the outbox: %s", got)
	}
	var n int64
	for _, table := range r.Tables {
		if table.Rows == 0 || table.Rows != table.Total || progress[table.Table] != table {
			t.Errorf("%+v, and progress was %+v", table, progress[table.Table])
		}
		n += table.Rows
	}
	if n != r.Rows() {
		t.Errorf("%d rows, not %d", r.Rows(), n)
	}
}

// TestSchemasMatch holds the schemas of both kinds against each other: what
// one has the other has too, but for what stays.
func TestSchemasMatch(t *testing.T) {
	t.Parallel()
	file, server := sideFor(t, openSQLite(t)), sideFor(t, openMySQL(t))
	all := map[string]bool{}
	for _, d := range []*side{file, server} {
		query := `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
		if d == server {
			query = `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()`
		}
		for _, name := range rowsOf(t, d, query) {
			all[strings.Split(name, `"`)[1]] = true
		}
	}
	a, err := file.dialect.tables(t.Context(), file.db)
	if err != nil {
		t.Fatal(err)
	}
	b, err := server.dialect.tables(t.Context(), server.db)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := match(a, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		delete(all, table.name)
	}
	if left := slices.Sorted(maps.Keys(all)); !slices.Equal(left, []string{"goose_db_version", "leases", "nodes", "outbox", "schema_lock", "writers"}) {
		t.Errorf("not copied: %s", left)
	}
	delete(b, "jobs")
	if _, err := match(a, b); err == nil || !strings.Contains(err.Error(), "jobs in the source") {
		t.Errorf("a table that is missing: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	t.Run("a target with something of its own", func(t *testing.T) {
		t.Parallel()
		from, to := openSQLite(t), openMySQL(t)
		fill(t, from, 1)
		if err := to.SetDefault(t.Context(), "default", "slack", "C1", "web-1"); err != nil {
			t.Fatal(err)
		}
		_, err := copyAll(t, Config{From: from, To: to})
		if !errors.Is(err, ErrNotEmpty) || !strings.Contains(err.Error(), "conversation_agents") {
			t.Errorf("%v", err)
		}
		if err := Unfinished(t.Context(), to); err != nil {
			t.Errorf("the target is marked: %v", err)
		}
	})
	t.Run("a server on the source", func(t *testing.T) {
		t.Parallel()
		from, to := openSQLite(t), openMySQL(t)
		if err := from.SaveNode(t.Context(), node.Node{ID: "1", Host: "web-a", Addr: "10.0.0.1:80", StartedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		_, err := copyAll(t, Config{From: from, To: to})
		if !errors.Is(err, errWorkedOn) || !strings.Contains(err.Error(), "web-a") {
			t.Errorf("%v", err)
		}
		if _, err := copyAll(t, Config{From: from, To: to, Running: true}); err != nil {
			t.Errorf("when told to: %v", err)
		}
	})
	t.Run("a server that holds the source's lock", func(t *testing.T) {
		t.Parallel()
		from, to := openSQLite(t), openMySQL(t)
		server, err := sqlite.Open(t.Context(), sqlite.Config{Path: pathOf(t, from)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = server.Close() }()
		if _, held, err := server.Alone().Acquire(t.Context(), "relay", time.Second); err != nil || !held {
			t.Fatal(held, err)
		}
		if _, err := copyAll(t, Config{From: from, To: to}); !errors.Is(err, errWorkedOn) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a server on the target", func(t *testing.T) {
		t.Parallel()
		from, to := openSQLite(t), openMySQL(t)
		if err := to.SaveNode(t.Context(), node.Node{ID: "1", Host: "web-b", Addr: "10.0.0.2:80", StartedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, err := copyAll(t, Config{From: from, To: to}); !errors.Is(err, errWorkedOn) || !strings.Contains(err.Error(), "web-b") {
			t.Errorf("%v", err)
		}
	})
	t.Run("two copies at a time", func(t *testing.T) {
		t.Parallel()
		from, to := openSQLite(t), openMySQL(t)
		if _, held, err := to.Leaser("other").Acquire(t.Context(), leaseName, leaseTTL); err != nil || !held {
			t.Fatal(held, err)
		}
		if _, err := copyAll(t, Config{From: from, To: to}); !errors.Is(err, errTaken) {
			t.Errorf("%v", err)
		}
	})
}

// TestBeginsAnew stops copies half-way: nobody works on what they leave
// behind, and the next one starts from the beginning.
func TestBeginsAnew(t *testing.T) {
	t.Parallel()
	from, to := openSQLite(t), openMySQL(t)
	fill(t, from, 30)
	for _, at := range []string{"agents", "jobs", "untold"} {
		ctx, stop := context.WithCancel(t.Context())
		_, err := Copy(ctx, Config{From: from, To: to, FromName: "a", ToName: "b", batchRows: 7, Progress: func(p Progress) {
			if p.Table == at && p.Rows > 7 {
				stop()
			}
		}})
		stop()
		if err == nil {
			t.Fatalf("the copy went on after %s", at)
		}
		if err := Unfinished(t.Context(), to); err == nil || !strings.Contains(err.Error(), "skadi store copy") {
			t.Errorf("half a database is no error: %v", err)
		}
	}
	if _, err := copyAll(t, Config{From: from, To: to}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contents(t, from), contents(t, to)); diff != "" {
		t.Errorf("(-from +to):\n%s", diff)
	}
}

// TestLongKeys: a key that MySQL cannot index as it is comes along in the
// form in which the store looks it up.
func TestLongKeys(t *testing.T) {
	t.Parallel()
	from, to := openSQLite(t), openMySQL(t)
	key := strings.Repeat("thread/", 300)
	if err := from.SetDefault(t.Context(), "default", "slack", key, "web-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := copyAll(t, Config{From: from, To: to}); err != nil {
		t.Fatal(err)
	}
	if agent, err := to.Default(t.Context(), "default", "slack", key); agent != "web-1" || err != nil {
		t.Errorf("%q, %v", agent, err)
	}
}

func pathOf(t *testing.T, s *sqlite.Store) string {
	t.Helper()
	db, err := s.Raw()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var path string
	if err := db.QueryRowContext(t.Context(), `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPasts takes jobs from MySQL whose events have no rows of their own, and
// that are not published yet.
func TestPasts(t *testing.T) {
	t.Parallel()
	from, ctx := openMySQL(t), t.Context()
	want := map[string][]job.Event{}
	for i, c := range []*chat.ConversationRef{nil, {Account: "work-slack", Key: "C1"}, nil, nil} {
		id := fmt.Sprint("job-", i)
		created, err := from.Create(ctx, []job.Entry{{
			Draft: &job.Draft{ID: id, Space: "default", Agent: "web-1", Message: "deploy", Conversation: c},
			Admit: func(now time.Time, d job.Draft, _ *job.Agent) (job.Job, []job.Event, error) {
				j := job.Job{ID: d.ID, Space: d.Space, Num: d.Num, Agent: d.Agent, Conversation: c, Status: job.Queuing, Version: 1, CreatedAt: now, DueAt: now}
				return j, []job.Event{statusOf(j, now)}, nil
			},
		}})
		if err != nil || created[0].Err != nil {
			t.Fatal(err, created)
		}
		if _, err := from.Update(ctx, job.ByID("default", id), func(v job.View) (*job.Change, error) {
			v.Job.Version++
			v.Job.Status, v.Job.FinishedAt = job.Canceled, v.Now
			return &job.Change{Job: v.Job, Events: []job.Event{statusOf(v.Job, v.Now)}}, nil
		}); err != nil {
			t.Fatal(err)
		}
		if want[id], err = from.History(ctx, "default", id); err != nil || len(want[id]) != 2 {
			t.Fatal(want[id], err)
		}
	}
	for name, to := range map[string]store.Store{"sqlite": openSQLite(t), "mysql": openMySQL(t)} {
		r, err := copyAll(t, Config{From: from, To: to})
		if err != nil {
			t.Fatal(name, err)
		}
		for _, p := range r.Tables {
			if p.Table == "events" && (p.Rows != 8 || p.Total != 8) {
				t.Errorf("%s: %+v", name, p)
			}
		}
		for id, history := range want {
			got, err := to.History(ctx, "default", id)
			if diff := cmp.Diff(history, got); diff != "" || err != nil {
				t.Errorf("%s: the history of %s: %v (-before +after):\n%s", name, id, err, diff)
			}
		}
		if es, err := to.Unpublished(ctx, 100); err != nil || len(es) != 8 {
			t.Errorf("%s: %d events are to be published, want 8: %v", name, len(es), err)
		}
	}
}

func statusOf(j job.Job, at time.Time) job.Event {
	return job.Event{
		Subject: j.ID, Version: j.Version, Space: j.Space, Kind: job.EventJobStatus, At: at, Agent: j.Agent, Num: j.Num,
		Status: j.Status, By: "token:<ci> \"ü\"", Conversation: j.Conversation,
	}
}
