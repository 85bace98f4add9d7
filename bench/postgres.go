package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
)

var errNoPostgres = errors.New("PostgreSQL is not installed (Debian, Ubuntu: apt-get install postgresql)")

// postgres is a PostgreSQL of our own, on a port of its own, with fsync on as
// it comes.
type postgres struct {
	*process
	addr, dir string
	made      int // databases
}

// startPostgres starts PostgreSQL in a folder of its own under parent. It
// refuses to run as root, and runs then as the user that its package makes.
func startPostgres(ctx context.Context, parent string) (*postgres, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	as, uid, gid, err := postgresUser()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "skadi-bench-postgres-")
	if err != nil {
		return nil, err
	}
	p := &postgres{dir: dir}
	if err := p.launch(ctx, bin, as, uid, gid); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

func (p *postgres) launch(ctx context.Context, bin string, as *syscall.SysProcAttr, uid, gid int) error {
	if err := os.Chown(p.dir, uid, gid); err != nil {
		return err
	}
	data := filepath.Join(p.dir, "data")
	made := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), //nolint:gosec // PostgreSQL's own
		"-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-locale")
	made.SysProcAttr, made.Dir = as, p.dir
	if out, err := made.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	var err error
	if p.addr, err = freeAddr(); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		return err
	}
	p.process, err = startAs(as, io.Discard, nil, filepath.Join(bin, "postgres"), "-D", data, "-p", port,
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200",
		"-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB", "-c", "fsync=on", "-c", "synchronous_commit=on")
	if err != nil {
		return err
	}
	err = p.until(ctx, "postgres", func() error { return p.do(ctx, "SELECT 1") })
	if err != nil {
		return errors.Join(err, p.process.stop())
	}
	return nil
}

// postgresPrograms returns the folder of the newest PostgreSQL's programs,
// which packages do not put into the path.
func postgresPrograms() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errNoPostgres
	}
	return filepath.Dir(found[len(found)-1]), nil
}

func postgresUser() (as *syscall.SysProcAttr, uid, gid int, err error) {
	if uid = os.Geteuid(); uid != 0 {
		return dieWithParent(), uid, os.Getegid(), nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, 0, 0, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err = strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if err := errors.Join(err, gidErr); err != nil {
		return nil, 0, 0, err
	}
	return dieAs(uint32(uid), uint32(gid)), uid, gid, nil //nolint:gosec // they are IDs
}

// stop ends it and removes its folder.
func (p *postgres) stop() error {
	// Asked with SIGTERM it waits until everybody has left.
	return errors.Join(p.process.stop(), os.RemoveAll(p.dir))
}

func (p *postgres) dsn(database string) string {
	return fmt.Sprintf("postgres://bench@%s/%s?sslmode=disable", p.addr, database)
}

func (p *postgres) do(ctx context.Context, statement string) error {
	c, err := pgx.Connect(ctx, p.dsn("postgres"))
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, statement)
	return errors.Join(err, c.Close(ctx))
}

// database makes a new database and returns its name.
func (p *postgres) database(ctx context.Context) (string, error) {
	p.made++
	name := fmt.Sprintf("bench%d", p.made)
	return name, p.do(ctx, "CREATE DATABASE "+name)
}

func (p *postgres) drop(ctx context.Context, name string) error {
	return p.do(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)")
}

func (p *postgres) version(ctx context.Context) (v string) {
	c, err := pgx.Connect(ctx, p.dsn("postgres"))
	if err != nil {
		return "?"
	}
	defer func() { _ = c.Close(ctx) }()
	_ = c.QueryRow(ctx, "SHOW server_version").Scan(&v)
	return v
}
