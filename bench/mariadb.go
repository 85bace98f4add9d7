package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	_ "github.com/go-sql-driver/mysql" // the driver
)

var errNoMariaDB = errors.New("mariadbd is not installed (Debian, Ubuntu: apt-get install mariadb-server)")

// mariaDB is a MariaDB of our own, on a port of its own. Every commit is
// fsynced; the buffer pool has room for a working set and not for everything.
type mariaDB struct {
	*process
	addr, password string
	made           int // databases
}

func startMariaDB(ctx context.Context, dir string) (*mariaDB, error) {
	server, err := exec.LookPath("mariadbd")
	if err != nil {
		return nil, errNoMariaDB
	}
	install, err := exec.LookPath("mariadb-install-db")
	if err != nil {
		return nil, errNoMariaDB
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	m := &mariaDB{addr: addr, password: rand.Text()}
	args := []string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--skip-name-resolve"}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	made := exec.CommandContext(ctx, install, append(args, "--skip-test-db")...) //nolint:gosec // MariaDB's own
	made.Dir = dir
	if out, err := made.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", install, err, out)
	}
	welcome := filepath.Join(dir, "init.sql")
	account := "'bench'@'127.0.0.1'"
	text := "CREATE USER " + account + " IDENTIFIED BY '" + m.password + "';\nGRANT ALL ON *.* TO " + account + ";\n"
	if err := os.WriteFile(welcome, []byte(text), 0o600); err != nil {
		return nil, err
	}
	m.process, err = start(io.Discard, nil, server, append(args,
		"--init-file="+welcome, "--pid-file="+filepath.Join(dir, "pid"), "--socket=socket",
		"--bind-address=127.0.0.1", "--port="+port, "--max-connections=300",
		"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M")...)
	if err != nil {
		return nil, err
	}
	err = m.until(ctx, "mariadbd", func() error {
		return m.do(ctx, func(db *sql.DB) error { return db.PingContext(ctx) })
	})
	if err != nil {
		return nil, errors.Join(err, m.stop())
	}
	return m, nil
}

// dsn names a database of the server, or none.
func (m *mariaDB) dsn(database string) string {
	return fmt.Sprintf("bench:%s@tcp(%s)/%s", m.password, m.addr, database)
}

func (m *mariaDB) do(_ context.Context, f func(*sql.DB) error) error {
	db, err := sql.Open("mysql", m.dsn(""))
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}

// database makes a new database and returns its name.
func (m *mariaDB) database(ctx context.Context) (string, error) {
	m.made++
	name := fmt.Sprintf("bench%d", m.made)
	return name, m.do(ctx, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, "CREATE DATABASE "+name)
		return err
	})
}

func (m *mariaDB) drop(ctx context.Context, name string) error {
	return m.do(ctx, func(db *sql.DB) error {
		_, err := db.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name)
		return err
	})
}

func (m *mariaDB) version(ctx context.Context) (v string) {
	_ = m.do(ctx, func(db *sql.DB) error { return db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&v) })
	return v
}

// backing is the part of a node's config that names a database.
func (m *mariaDB) backing(database string) string {
	return fmt.Sprintf("store: {driver: mysql, dsn: %q}", m.dsn(database))
}
