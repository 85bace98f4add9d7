package throwaway

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

const mariadbPackage = "mariadb-server-core"

// user is who the tests are to MariaDB.
const user = "skadi"

// DB is a MariaDB server. It syncs its log at each commit as MariaDB does by
// itself, so that what it acknowledged survives Kill.
type DB struct {
	*server
	password string
}

// MariaDB returns the server that all tests of the binary share; see [Main].
// It cannot be killed or stopped.
func MariaDB(t testing.TB) *DB {
	t.Helper()
	find(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.db == nil && shared.err == nil {
		shared.db, shared.err = startMariaDB(find(t))
		if shared.err == nil {
			shared.end = append(shared.end, func() { shared.db.kill(); shared.db.remove() })
		}
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	db := shared.db
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of MariaDB:\n%s", db.logged())
		}
	})
	return db
}

// NewMariaDB starts a server for this test alone, with more options such as
// --max-connections=10.
func NewMariaDB(t testing.TB, options ...string) *DB {
	t.Helper()
	db, err := startMariaDB(find(t), options...)
	if err != nil {
		t.Fatal(err)
	}
	db.own(t)
	return db
}

// DSN returns the data source name of a database, or of none, for a user who
// may do everything.
func (db *DB) DSN(database string) string {
	return db.DSNOf(user, db.password, database)
}

// DSNOf is DSN for another user.
func (db *DB) DSNOf(user, password, database string) string {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = user, password, "tcp", db.Addr, database
	return c.FormatDSN()
}

// Database makes an empty database, which is dropped when the test ends, and
// returns its data source name.
func (db *DB) Database(t testing.TB) string {
	t.Helper()
	name := "t_" + strings.ToLower(rand.Text())
	db.Exec(t, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	t.Cleanup(func() {
		if db.cmd != nil { // else the server goes, and the database with it
			db.Exec(t, "DROP DATABASE "+name)
		}
	})
	return db.DSN(name)
}

// Exec runs statements as the user who may do everything.
func (db *DB) Exec(t testing.TB, statements ...string) {
	t.Helper()
	c, err := sql.Open("mysql", db.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, s := range statements {
		if _, err := c.ExecContext(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// ask reads one value.
func (db *DB) ask(ctx context.Context, dest any, query string) error {
	c, err := sql.Open("mysql", db.DSN(""))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return c.QueryRowContext(ctx, query).Scan(dest)
}

// mariadbPrograms are MariaDB's, or MySQL's, which has no other to install it.
type mariadbPrograms struct{ server, install string }

func find(t testing.TB) mariadbPrograms {
	t.Helper()
	if mysqld := os.Getenv(mysqldEnv); mysqld != "" {
		return mariadbPrograms{server: mysqld}
	}
	Program(t, "my_print_defaults", "mariadb-client-core") // which the next one calls
	return mariadbPrograms{
		server:  Program(t, "mariadbd", mariadbPackage),
		install: Program(t, "mariadb-install-db", mariadbPackage),
	}
}

func startMariaDB(p mariadbPrograms, options ...string) (*DB, error) {
	if p.install == "" {
		return startDB(p.server, rand.Text(), (*server).installMySQL, slices.Concat(mysqlArgs(), options)...)
	}
	install := func(s *server, password string) error { return s.install(p.install, password) }
	return startDB(p.server, rand.Text(), install, slices.Concat(mariadbArgs(), options)...)
}

func startDB(program, password string, install func(s *server, password string) error, options ...string) (*DB, error) {
	db := &DB{password: password}
	_, err := launch(func(port int) (*server, error) {
		dir, err := os.MkdirTemp("", "skadi-mariadb-")
		if err != nil {
			return nil, err
		}
		s := &server{dir: dir, program: program, ready: db.ping}
		db.server = s
		if err := install(s, password); err != nil {
			_ = os.RemoveAll(dir)
			return nil, err
		}
		s.args = append([]string{
			"--no-defaults",
			"--datadir=" + filepath.Join(dir, "data"), "--tmpdir=" + dir,
			"--init-file=" + filepath.Join(dir, "init.sql"),
			"--pid-file=" + filepath.Join(dir, "pid"),
			"--socket=socket", // in the data folder; a whole path may be too long for one
			"--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", port), "--skip-name-resolve",
			"--innodb-flush-log-at-trx-commit=1",
			"--performance-schema=off",
			"--max-connections=300",
			// Small and quick to make, nothing else.
			"--innodb-buffer-pool-size=64M", "--key-buffer-size=1M",
		}, slices.Concat(runAs(), options)...)
		return s, nil
	})
	return db, err
}

// mariadbArgs are the options that MariaDB has and MySQL does not, or no more.
func mariadbArgs() []string {
	return []string{"--innodb-log-file-size=32M", "--innodb-temp-data-file-path=ibtmp1:4M:autoextend", "--aria-pagecache-buffer-size=8M"}
}

// installTries is how often the system tables are written.
const installTries = 3

// install writes the system tables, which takes most of the start. root comes
// in by the socket alone.
func (s *server) install(program, password string) error {
	data := filepath.Join(s.dir, "data")
	args := append([]string{
		"--no-defaults", "--datadir=" + data, "--tmpdir=" + s.dir, "--skip-test-db", "--skip-name-resolve",
		"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--innodb-use-native-aio=0",
	}, runAs()...)
	for try := 1; ; try++ {
		install := exec.Command(program, args...) //nolint:noctx,gosec // ends by itself, and is MariaDB's
		install.Dir = s.dir
		out, err := install.CombinedOutput()
		if err == nil {
			break
		}
		err = fmt.Errorf("%s, try %d: %w\n%s", program, try, err, out)
		// Now and then it crashes on a busy machine.
		if try == installTries {
			return err
		}
		if gone := os.RemoveAll(data); gone != nil {
			return errors.Join(err, gone)
		}
	}
	return s.welcome(password)
}

// welcome writes the statements that let the tests in at each start.
func (s *server) welcome(password string) error {
	account := "'" + user + "'@'127.0.0.1'"
	// Not in the binary log, where it would be a change that no other server of
	// a group has.
	init := "SET SQL_LOG_BIN = 0;\nCREATE USER IF NOT EXISTS " + account + " IDENTIFIED BY '" + password + "';\n" +
		"GRANT ALL ON *.* TO " + account + " WITH GRANT OPTION;\n"
	return os.WriteFile(filepath.Join(s.dir, "init.sql"), []byte(init), 0o600)
}

// ping connects as the tests will, since MariaDB listens before it has run
// its init file.
func (db *DB) ping(ctx context.Context) error {
	c, err := sql.Open("mysql", db.DSN(""))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return c.PingContext(ctx)
}

// runAs lets root start MariaDB, which it otherwise refuses.
func runAs() []string {
	if os.Geteuid() != 0 {
		return nil
	}
	return []string{"--user=root"}
}
